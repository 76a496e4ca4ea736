"""The stages, one a module."""

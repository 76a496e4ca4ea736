"""A small world of our own whose truth is known. Not for real photographs."""

"""Checks of a caption by its text alone: faults, repairs and lengths."""

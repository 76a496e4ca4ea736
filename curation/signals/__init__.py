"""Parsers of the signals by which people keep pictures out of training. Pure functions over untrusted bytes."""

"""Hashes in, pairs out; usable alone."""

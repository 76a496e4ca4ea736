"""Exact near-duplicate search in Hamming space, and what is decided with it."""

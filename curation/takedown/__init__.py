"""Takes samples out of a root for good, and proves that nothing of them is left."""

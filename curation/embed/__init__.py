"""Embeddings of images by a CLIP-like model: the stage, semantic duplicates, search."""

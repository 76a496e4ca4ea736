"""Scores of generated images: their files, the questions that a model answers about them, and what follows."""

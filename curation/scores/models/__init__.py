"""Scorers that ask a model: text in images, unsafe content, faces, any classifier, aesthetic heads."""

"""Scores of images: scorers, the stage that runs them, and the limits that reject before captions are paid for."""

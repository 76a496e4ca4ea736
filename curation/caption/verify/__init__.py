"""A second look: each statement of a caption is put to a model that sees the image, as a yes-or-no question."""

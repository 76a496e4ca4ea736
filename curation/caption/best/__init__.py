"""Several captions of a kind for each image, of which the one is kept whose statements hold best."""

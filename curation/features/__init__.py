"""Hidden states of a language model for each released caption, beside the release's tars."""

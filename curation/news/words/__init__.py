"""The word lists of the embedded recogniser, in the form of ``curation.check.wordlists``."""

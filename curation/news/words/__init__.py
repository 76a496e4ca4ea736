"""The word lists of the embedded recogniser, in the form of ``curation.caption.check.wordlists``."""

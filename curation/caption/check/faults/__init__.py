"""One module a kind of fault. Each says what it found; ``curation.caption.check.caption`` decides what that means."""

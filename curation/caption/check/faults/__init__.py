"""One module for each kind of fault. Each reports findings; ``curation.caption.check.caption`` draws the verdict."""

"""Pictures that are to be continued: their windows, captions of these, and captions of what comes next."""

"""From kept samples to a release that others can download, check and load."""

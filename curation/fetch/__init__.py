"""Fetching images from hosts that nobody trusts. The only room that imports img2dataset."""

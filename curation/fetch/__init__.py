"""Fetches images from untrusted hosts. The only room that imports img2dataset; README.md says what it does here."""

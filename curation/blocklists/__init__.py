"""Lists of what must not come in: hosts, urls, words, bytes and looks of images."""

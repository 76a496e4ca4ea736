"""What other thresholds would do to a root, from what is stored in it."""

"""What a source row looks like in each dialect."""

"""What can be told of a caption by reading it: its faults, their repair, and its lengths."""

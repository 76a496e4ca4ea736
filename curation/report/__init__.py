"""What a release says of itself: card, Croissant, report."""

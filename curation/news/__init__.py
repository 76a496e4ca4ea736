"""What is read out of a news caption: what it is without its credits, whom it names, what matters in it."""

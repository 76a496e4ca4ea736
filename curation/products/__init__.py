"""The list of steps of each product."""

"""A release on a dataset hub: what may be published, what is there already, and what is sent."""

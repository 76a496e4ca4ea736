"""A small painter: a text-to-image model of a million weights, trained on releases of a corner of the demo world."""

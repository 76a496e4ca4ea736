"""News captions: cleaning, named entities, abstractness, subject weights and conditioning, with their stages."""

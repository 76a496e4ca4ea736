"""From keepers to captions: model clients, prompts, recaption, check, similarity."""

"""The demo captioner: a small LLaVA trained on the demo world. Not for real photographs."""

"""What training code imports; nothing else of ours but errors."""

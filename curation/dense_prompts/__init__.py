"""Evaluation prompts: briefs by category, prompts with questions by a language model, checks, choice and exports."""

"""The foundation of every stage: stage, pipeline, run, store, root, recipes, engines, tar, errors."""

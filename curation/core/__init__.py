"""What every stage stands on: stage, pipeline, run, store, root, recipes, engines, tar, errors."""

"""Floor 2: when and where it runs. The only place that imports Prefect."""

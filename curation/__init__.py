"""Floor 1: how data is made. No Prefect anywhere."""

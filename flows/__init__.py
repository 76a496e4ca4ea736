"""Floor 2: when and where it runs. The only place that imports Prefect."""

import os
import warnings

# Read by Prefect at its import, which every module here does first.
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("DO_NOT_TRACK", "1")
if "PREFECT__FLOW_RUN_ID" not in os.environ:
    # On a terminal the run's own progress says it all; under a worker, Prefect's log is the place to look.
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")
# Prefect's import warns of a folder that it cannot make; a run refuses it in words of its own.
warnings.filterwarnings("ignore", "Failed to create the Prefect home directory", UserWarning)

"""LAION-refined: ``python -m flows.refine_laion --source 'laion/part-*.parquet' --root runs/refined``."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from curation.core.store import Store
from curation.products.refine import LAION_REFINED
from flows.product import product_flow, run_command
from flows.summary import print_summary
from flows.tasks import leave

MODULE = "flows.refine_laion"
refine_laion = product_flow(LAION_REFINED, "refine-laion", MODULE)


def main(argv: Sequence[str] | None = None, summary: Callable[[Store], None] = print_summary) -> int:
    """The command line's exit code; see ``run_command``."""
    return run_command(LAION_REFINED, MODULE, refine_laion, argv, summary)


if __name__ == "__main__":
    leave(main())

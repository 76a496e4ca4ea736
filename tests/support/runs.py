"""Whole refine_laion runs without Prefect, in this process or in one that can be killed.

python -m tests.support.runs ROOT ENGINE SOURCE [KEY=VALUE …], where ENGINE is local, ray or cluster
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from curation.catalog import Conservation, conservation, refresh
from curation.core.engines.local import LocalEngine
from curation.core.engines.ray import RayEngine
from curation.core.job import Outcome
from curation.core.lock import hold
from curation.core.pipeline import Engine
from curation.core.root import resolve_recipe, write_recipe
from curation.core.run import compact_tables
from curation.core.store import Store
from curation.products.refine import LAION_REFINED
from schemas.refine import RefineLaion

# What an interrupted run must agree with an uninterrupted one in, to the byte.
RESULT = ("tables", "images", "release")


def quick(host_port: str) -> list[str]:
    """Settings of a small, fast run against a web on this machine."""
    return [
        f'download.allow_private_hosts=["{host_port}"]',
        "download.timeout=3",
        "download.retries=1",
        "download.backoff=0.05",
        "download.threads=16",
        "download.workers=2",
        "source.shard_rows=12",
        "export.shard_size=10",
        "export.val=0.1",
        "export.test=0.1",
        "caption.backend=scripted",
    ]


def refine(root: str, source: str, settings: Sequence[str], engine: Engine | None = None) -> list[Outcome]:
    """Runs all steps to the end; returns every shard's outcome."""
    store = Store(root)
    recipe = resolve_recipe(RefineLaion, store, None, settings)
    steps = LAION_REFINED.ready(recipe, [source], store)
    seen: list[Outcome] = []
    with hold(store):
        write_recipe(store, recipe)
        for step in (s for s in steps if s.on):
            totals = step.run(store, engine or LocalEngine(), seen.append)
            compact_tables(store, step, totals.done)
    refresh(store)
    return seen


def counted(root: str) -> Conservation:
    """The root's fates; fails when they do not add up."""
    counts = conservation(Store(root))
    assert counts.ok, str(counts)
    return counts


def engine_of(name: str) -> Engine:
    """``cluster`` is the Ray cluster at RAY_ADDRESS, as the profile of that name has it."""
    match name:
        case "ray":
            return RayEngine(cpus=2)
        case "cluster":
            from flows.profiles import build_engine  # importing it sets Prefect's environment

            return build_engine("cluster", "ray")
    return LocalEngine()


def command(root: Path | str, engine: str, source: str, settings: Sequence[str]) -> list[str]:
    """The same as a program of its own."""
    return [sys.executable, "-m", "tests.support.runs", str(root), engine, source, *settings]


if __name__ == "__main__":
    told = sys.argv[1:]
    chosen = engine_of(told[1])
    failed = [o for o in refine(told[0], told[2], told[3:], chosen) if o.status == "failed"]
    for outcome in failed:
        print(outcome.table, outcome.shard, outcome.error)
    sys.exit(bool(failed))

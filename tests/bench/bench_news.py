"""Captions a second and core of everything in a news run but model calls; the measure is what the project promises."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from curation.engines.local import LocalEngine
from curation.news.recognisers import identify
from curation.news.rules import RuleRecogniser
from curation.pipeline import run_segment
from curation.sources.news_source import open_news
from curation.stages.abstractness import AbstractnessStage
from curation.stages.clean import CleanStage
from curation.stages.conditioning import ConditioningStage
from curation.stages.entities import EntitiesStage
from curation.stages.plan import plan
from curation.stages.subjects import SubjectsStage
from curation.store import Store
from schemas.anchor import BuildAnchor
from schemas.arrow import table_of
from schemas.manifest import ShardEntry
from schemas.records import Duplicate, SourceRow
from tests.support.labelled import labelled

PROMISED = {"plan": 500.0, "annotate": 500.0, "entities": 1_000.0}
CAPTIONS = 4_200


def main() -> None:
    captions = [item.caption for item in labelled()]
    captions = [f"{captions[n % len(captions)]} {n}" for n in range(CAPTIONS)]
    with tempfile.TemporaryDirectory() as folder:
        store = Store(f"{folder}/root")
        _say("plan", _rate(lambda: _plan(Path(folder), store, captions)))
        _keep_all(store)
        recipe = BuildAnchor()
        stages = [
            CleanStage(recipe.clean),
            EntitiesStage(recipe.entities, identify(recipe.entities)),
            AbstractnessStage(recipe.abstraction),
            SubjectsStage(recipe.subjects),
            ConditioningStage(recipe.condition),
        ]
        _say("annotate", _rate(lambda: run_segment(store, LocalEngine(), stages, store.shards("rows"), lambda _: None)))
    rules = RuleRecogniser()
    _say("entities", _rate(lambda: list(rules.recognise(captions))))


def _plan(folder: Path, store: Store, captions: list[str]) -> None:
    """A list in VisualNews' layout, each caption with an image of 100 kB beside it."""
    images = folder / "origin" / "bbc"
    images.mkdir(parents=True)
    records = []
    for n, caption in enumerate(captions):
        if n < 200:
            (images / f"{n}.jpg").write_bytes(bytes([n]) * 100_000)
        records.append({"caption": caption, "image_path": f"./bbc/{n % 200}.jpg", "source": "bbc"})
    (folder / "origin" / "data.json").write_text(json.dumps(records))
    plan(store, open_news([str(folder)]), BuildAnchor().source, lambda _: None)


def _keep_all(store: Store) -> None:
    """Every row is a keeper, as if its image had been looked at."""
    for shard in store.shards("rows"):
        ids = store.read_table(SourceRow, shard)["sample_id"].to_pylist()
        rows = table_of(Duplicate, [Duplicate(s, None, s, 0, s) for s in ids])
        sha, size = store.write_table(Duplicate, shard, rows)
        name = store.table_file("duplicates", shard)
        store.commit(ShardEntry("duplicates", shard, "", {}, {name: sha}, len(ids), len(ids), size, 0.0, "bench"))


def _rate(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return CAPTIONS / (time.process_time() - started)


def _say(name: str, ours: float) -> None:
    promised = PROMISED[name]
    print(f"news-{name} ratio={ours / promised:.2f} ours={ours:.0f} captions/s promised={promised:.0f}")


if __name__ == "__main__":
    main()

"""Captions a second and core of everything in a news run that is done to captions, but for model calls.

Images are left out: decoding and resizing them is what the download benchmarks measure. A model is asked for the
subjects, but answers from a script at once, so that rendering the prompts, hashing, journalling, parsing and
aligning the replies count. Seconds are CPU seconds of one process; the measure is what the project promises.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from curation.caption.model.open import check_model
from curation.caption.prompts import load
from curation.core.engines.local import LocalEngine
from curation.core.pipeline import run_reduce, run_segment
from curation.core.stage import Stage
from curation.core.store import Store
from curation.news.abstractness_stage import AbstractnessStage
from curation.news.clean_stage import CleanStage
from curation.news.conditioning_stage import ConditioningStage
from curation.news.entities_stage import EntitiesStage
from curation.news.recognisers import identify
from curation.news.rules import RuleRecogniser
from curation.news.subjects_stage import SubjectsStage
from curation.sources.news_source import open_news
from curation.sources.planner import plan
from schemas.anchor import Abstraction, BuildAnchor
from schemas.arrow import Record, table_of
from schemas.chat import Chat
from schemas.manifest import ShardEntry
from schemas.records import Duplicate, ImageRow, Placement, SourceRow
from tests.support.labelled import labelled
from tests.support.release_steps import pack_reduce

PROMISED = {"plan": 500.0, "annotate": 500.0, "pack": 500.0, "captions": 500.0, "entities": 1_000.0}
CAPTIONS = 4_200


def main() -> None:
    captions = [item.caption for item in labelled()]
    captions = [f"{captions[n % len(captions)]} {n}" for n in range(CAPTIONS)]
    recipe = BuildAnchor(abstraction=Abstraction(literal=False))
    seconds: dict[str, float] = {}
    _warm_up(captions[:50])
    with tempfile.TemporaryDirectory() as folder:
        store = Store(f"{folder}/root")
        seconds["plan"] = _seconds(lambda: _plan(Path(folder), store, captions))
        _keep_all(store)
        stages = _stages(recipe)
        seconds["annotate"] = _seconds(
            lambda: run_segment(store, LocalEngine(), stages, store.shards("rows"), lambda _: None)
        )
        seconds["pack"] = _seconds(lambda: run_reduce(store, pack_reduce(recipe), lambda _: None))
        placed = sum(store.read_table(Placement, shard).num_rows for shard in store.shards("placements"))
        assert placed > 0.9 * CAPTIONS, placed
    for name, took in {**seconds, "captions": sum(seconds.values())}.items():
        _say(name, CAPTIONS / took)
    rules = RuleRecogniser()
    _say("entities", CAPTIONS / _seconds(lambda: list(rules.recognise(captions))))


def _warm_up(captions: list[str]) -> None:
    """Imports and word lists are read before anything is timed."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(f"{folder}/root")
        _plan(Path(folder), store, captions)
        _keep_all(store)
        run_segment(store, LocalEngine(), _stages(BuildAnchor()), store.shards("rows"), lambda _: None)


def _stages(recipe: BuildAnchor) -> list[Stage]:
    chat = Chat(backend="scripted")
    return [
        CleanStage(recipe.clean),
        EntitiesStage(recipe.entities, identify(recipe.entities)),
        AbstractnessStage(recipe.abstraction),
        SubjectsStage(recipe.subjects, check_model(chat), chat, load("subjects")),
        ConditioningStage(recipe.condition),
    ]


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
    """Every row has an image and is a keeper, as if it had been downloaded and compared."""
    for shard in store.shards("rows"):
        ids = store.read_table(SourceRow, shard)["sample_id"].to_pylist()
        images = [_image(sample, 512 * n) for n, sample in enumerate(ids)]
        _write(store, ImageRow, shard, images)
        _write(store, Duplicate, shard, [Duplicate(s, None, s, 0, s) for s in ids])


def _image(sample: str, offset: int) -> ImageRow:
    nothing: dict[str, None] = dict.fromkeys(
        ("reason", "detail", "http_status", "final_url", "opt_out", "original_sha256", "hash_matches", "phash256")
    )
    return ImageRow(
        sample_id=sample, original_width=600, original_height=512, original_format="jpeg", original_bytes=100_000,
        width=600, height=512, sha256=f"{sample}{sample}", phash=0, unchanged=True, offset=offset, size=512, **nothing,
    )  # fmt: skip


def _write(store: Store, record: type[Record], shard: str, rows: Sequence[Record]) -> None:
    sha, size = store.write_table(record, shard, table_of(record, rows))
    name = store.table_file(record.table, shard)
    store.commit(ShardEntry(record.table, shard, "", {}, {name: sha}, len(rows), len(rows), size, 0.0, "bench"))


def _seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def _say(name: str, ours: float) -> None:
    promised = PROMISED[name]
    print(f"news-{name} ratio={ours / promised:.2f} ours={ours:.0f} captions/s promised={promised:.0f}")


if __name__ == "__main__":
    main()

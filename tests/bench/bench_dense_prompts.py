"""CPU seconds of what judges evaluation prompts: the check of each, the comparison with a training root, the choice.

The demo world's writer, which is no language model, writes ``--size`` prompts and their questions beforehand; the
training root releases ``--texts`` captions of about 60 words, each with an alt text of its own.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from curation.core.engines.local import LocalEngine
from curation.core.pipeline import run_reduce, run_segment
from curation.core.store import Store
from curation.demo.prompt_writer import scene_of, write
from curation.dense_prompts.check_stage import PromptCheckStage
from curation.dense_prompts.choose_reduce import ChooseReduce
from curation.dense_prompts.overlap_reduce import OverlapReduce
from schemas.arrow import columns, rows_of
from schemas.dense_prompts import DensePrompts, TrainingTexts
from schemas.prompt_records import DensePromptReply, PromptCheck, PromptChoice, PromptOverlap, WrittenPrompt
from schemas.records import SourceRow
from tests.support.clean_captions import clean_captions
from tests.support.roots import write_table
from tests.support.training_root import training_root

CATEGORIES = ("things", "counts", "relations", "text")
SHARD = 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=7000, help="prompts")
    parser.add_argument("--texts", type=int, default=100_000, help="samples of the training root")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store, recipe = Store(str(Path(folder) / "prompts")), DensePrompts()
        _timed("writing", lambda: _write(store, options.size))
        training = Path(folder) / "training"
        texts = [text for text, _, _ in clean_captions(options.texts)]
        for number, start in enumerate(range(0, len(texts), 10_000)):
            part = {f"{start + n:032x}": text for n, text in enumerate(texts[start : start + 10_000])}
            training_root(training, part, number=number)
        check = PromptCheckStage(recipe.check)
        compare = OverlapReduce.declared(TrainingTexts(sets=[str(training)]), ()).ready(None)
        choose = ChooseReduce(recipe.check.near, tuple((c, options.size) for c in CATEGORIES))
        shards = store.shards(SourceRow.table)
        _timed("check", lambda: run_segment(store, LocalEngine(), [check], shards, lambda _: None))
        _timed("comparison", lambda: run_reduce(store, compare, lambda _: None))
        _timed("choice", lambda: run_reduce(store, choose, lambda _: None))
        for record in (PromptCheck, PromptOverlap, PromptChoice):
            rows = (row for shard in shards for row in rows_of(record, store.read_table(record, shard)))
            reasons = Counter(row.reason or "passed" for row in rows)
            print(f"{record.table}: {', '.join(f'{count:,} {reason}' for reason, count in reasons.most_common())}")


def _timed(name: str, work: Callable[[], object]) -> None:
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    print(f"{name}: {time.process_time() - cpu:.1f} s CPU, {time.perf_counter() - wall:.1f} s", flush=True)


def _write(store: Store, size: int) -> None:
    """The plan and the replies of a round, as if a model had written them."""
    briefs = [(CATEGORIES[n % 4], n // 4) for n in range(size)]
    for start in range(0, size, SHARD):
        part, shard = briefs[start : start + SHARD], f"round-000-{start // SHARD:05d}"
        write_table(store, SourceRow, shard, [_row(category, number) for category, number in part])
        write_table(store, WrittenPrompt, shard, [_written(category, number) for category, number in part])


def _row(category: str, number: int) -> SourceRow:
    blank = {c.name: None for c in columns(SourceRow)}
    own = {"sample_id": f"{category}-{number}", "source_file": f"seeds/{category}", "source_row": number}
    return SourceRow(**{**blank, **own, "alt_text": f"Category: {category} (no. {number})"})


def _written(category: str, number: int) -> WrittenPrompt:
    reply = DensePromptReply.model_validate(write(scene_of(category, number)))
    fields: Sequence[object] = (
        *(f"{category}-{number}", reply.model_dump_json(), None, None, "stop", 80),
        *("dense_prompt@1", "writer", "1", "0", 100, 200),
    )
    return WrittenPrompt(*fields)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()

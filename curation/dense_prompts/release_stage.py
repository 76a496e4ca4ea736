"""Writes the release's Parquet files, and reads them back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

from curation.core.errors import SourceError
from curation.core.stage import Resources, Shard, Work, setting
from curation.dense_prompts.questions import from_json
from schemas.arrays import Array
from schemas.arrow import Record, rows_of, table_of
from schemas.prompt_records import PlacedPrompt
from schemas.questions import Question
from schemas.records import Released

FOLDER = "data"
_COLUMNS = (
    *("item_id", "category", "prompt", "words", "clip_tokens", "questions", "question_count", "target_words"),
    *("made_from", "brief", "sample_id", "source_file", "source_row", "written_by"),
)
_QUESTION = pa.struct(
    [
        pa.field("id", pa.int32()),
        pa.field("parents", pa.list_(pa.int32())),
        pa.field("category", pa.string()),
        pa.field("detail", pa.string()),
        pa.field("elements", pa.list_(pa.string())),
        pa.field("question", pa.string()),
        pa.field("answer", pa.string()),
        pa.field("start", pa.int32()),
        pa.field("end", pa.int32()),
    ]
)


@dataclass(frozen=True, slots=True)
class Item:
    """A released prompt."""

    item_id: str
    category: str
    prompt: str
    questions: tuple[Question, ...]


def items_of(rows: pa.Table) -> list[Item]:
    """The prompts of a shard of placements, in its order."""
    return [Item(r.item_id, r.category, r.caption, from_json(r.questions)) for r in rows_of(PlacedPrompt, rows)]


@dataclass(frozen=True)
class ReleaseStage:
    """Writes ``data/<shard>.parquet`` with one row a prompt, its questions as a list."""

    name: ClassVar[str] = "export"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[type[Record], ...]] = (PlacedPrompt,)
    writes: ClassVar[type[Record]] = Released

    resources: Resources = setting(Resources(), digest=False)

    @contextmanager
    def open(self) -> Iterator[Work]:
        yield self._export

    def _export(self, shard: Shard) -> pa.Table:
        placed = shard.read(PlacedPrompt)
        shard.rows_in = placed.num_rows
        file = f"release/{FOLDER}/{shard.name}.parquet"
        path = shard.scratch(file)
        pq.write_table(parquet_table(placed), path, compression="zstd")
        shard.publish(file, path)
        return table_of(
            Released, [Released(r.sample_id, r.split, shard.name, 0, 0) for r in rows_of(PlacedPrompt, placed)]
        )


def parquet_table(placed: pa.Table) -> pa.Table:
    """What a reader of the release needs of placed prompts."""
    rows = list(rows_of(PlacedPrompt, placed))
    questions = [
        [{name: getattr(q, name) for name in _QUESTION.names} for q in from_json(row.questions)] for row in rows
    ]
    made: dict[str, Array] = {
        name: pa.array([getattr(row, name) for row in rows], placed.schema.field(name).type)
        for name in _COLUMNS
        if name in placed.schema.names and name != "questions"
    }
    made["prompt"] = pa.array([row.caption for row in rows], pa.string())  # the column of placements names a file
    made["questions"] = pa.array(questions, pa.list_(_QUESTION))
    made["written_by"] = pa.array([f"{row.model}@{row.model_revision}" for row in rows], pa.string())
    return pa.table({name: made[name] for name in _COLUMNS})


def read_release(folder: Path) -> list[Item]:
    """The prompts of a release, or of the root that holds it, in its order. Raises ``SourceError``."""
    found = next((f for f in (folder / "release" / FOLDER, folder / FOLDER, folder) if any(f.glob("*.parquet"))), None)
    if found is None:
        raise SourceError(f"{folder} holds no release of dense prompts: no {FOLDER}/*.parquet; name its root")
    items: list[Item] = []
    for file in sorted(found.glob("*.parquet")):
        try:
            table = pq.read_table(file, columns=["item_id", "category", "prompt", "questions"])
        except (OSError, pa.ArrowInvalid, KeyError) as error:
            raise SourceError(f"{file} holds no dense prompts: {error}") from error
        items += [_item(row) for row in table.to_pylist()]
    return items


def _item(row: dict[str, object]) -> Item:
    raw: Sequence[dict[str, object]] = row["questions"]  # type: ignore[assignment]  # the column's type
    questions = tuple(
        Question(**{**q, "parents": tuple(q["parents"]), "elements": tuple(q["elements"])})  # type: ignore[arg-type]
        for q in raw
    )
    return Item(str(row["item_id"]), str(row["category"]), str(row["prompt"]), questions)

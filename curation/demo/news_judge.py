"""Measures recognisers and subject weights against the demo newsroom's truth, on the captions of one root."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from curation.caption.model.checkpoint import demo_is_trained, identify
from curation.caption.prompts import load
from curation.catalog import connect
from curation.core.stage import Shard
from curation.core.store import Store
from curation.demo.agreement import spearman
from curation.news.entities_stage import EntitiesStage
from curation.news.recognisers import identify as identify_recogniser
from curation.news.subjects_stage import SALIENCE, SubjectsStage
from schemas.anchor import BuildAnchor, Entities, Subjects
from schemas.arrow import Record, rows_of
from schemas.chat import Chat
from schemas.news import CleanCaption, NamedEntity, SubjectWeight

_IMAGES = "SELECT sample_id, parse_filename(local_file) FROM rows WHERE local_file IS NOT NULL"


@dataclass(frozen=True)
class Score:
    """``entities`` and ``labelled`` are F1 by exact text, without and with its label; ``subjects`` is Spearman's
    rho of weights, the mean over captions; null if a backend has neither."""

    by: str
    captions: int
    entities: float | None = None
    labelled: float | None = None
    subjects: float | None = None


@dataclass(frozen=True)
class _Truth:
    """The truth of a cleaned caption: the part of the newsroom's truth that is still in its text."""

    entities: Counter[tuple[str, str]]
    weights: Mapping[str, float]


def judge(truth: Path, store: Store, recipe: BuildAnchor) -> list[Score]:
    """The figures of every available backend on the same cleaned captions: first those that made the root, then the
    rules, salience and the demo checkpoint. Replies of the checkpoint are journalled in the root, so a second call
    makes no request.
    """
    known = _truths(truth, store)
    made = [
        _of_entities(_tables(store, NamedEntity), known),
        _of_subjects(_tables(store, SubjectWeight), known),
    ]
    for stage in _others(recipe):
        with stage.open() as work:
            tables = [work(Shard(shard, store)) for shard in store.shards(CleanCaption.table)]
        made.append(_of_entities(tables, known) if isinstance(stage, EntitiesStage) else _of_subjects(tables, known))
    return sorted(made, key=lambda score: score.entities is None)


def _others(recipe: BuildAnchor) -> Iterator[EntitiesStage | SubjectsStage]:
    """The backends that did not make the root."""
    if recipe.entities.recogniser != "rules":
        yield EntitiesStage(Entities(), identify_recogniser(Entities()))
    if recipe.subjects.method != "salience":
        yield SubjectsStage(Subjects(method="salience"), SALIENCE)
    if demo_is_trained():
        chat = Chat(model="demo")
        model = identify(chat.model)
        own = recipe.llm.backend == "transformers" and recipe.llm.model == chat.model
        if not (own and recipe.entities.recogniser == "llm"):
            yield EntitiesStage(Entities(recogniser="llm"), model, chat, load("entities"))
        if not (own and recipe.subjects.method == "llm"):
            yield SubjectsStage(Subjects(), model, chat, load("subjects"))


def _tables(store: Store, record: type[Record]) -> list[pa.Table]:
    return [store.read_table(record, shard) for shard in store.shards(record.table)]


def _of_entities(tables: Sequence[pa.Table], known: Mapping[str, _Truth]) -> Score:
    found: dict[str, Counter[tuple[str, str]]] = {}
    by = ""
    for row in (row for table in tables for row in rows_of(NamedEntity, table)):
        counted = found.setdefault(row.sample_id, Counter())
        by = row.recogniser
        if row.text is not None and row.label is not None:
            counted[row.text, row.label] += 1
    pairs = [(known[sample].entities, counted) for sample, counted in found.items() if sample in known]
    bare = [(_unlabelled(true), _unlabelled(counted)) for true, counted in pairs]
    return Score(f"entities by {_short(by)}", len(pairs), entities=f1(bare), labelled=f1(pairs))


def _of_subjects(tables: Sequence[pa.Table], known: Mapping[str, _Truth]) -> Score:
    found: dict[str, dict[str, float]] = {}
    by = ""
    for row in (row for table in tables for row in rows_of(SubjectWeight, table)):
        weights = found.setdefault(row.sample_id, {})
        by = row.method
        if row.text is not None and row.weight is not None:
            weights[row.text] = row.weight
    pairs = [(known[sample].weights, weights) for sample, weights in found.items() if sample in known]
    agreement = spearman(([*real.values()], [weights.get(text, 0.0) for text in real]) for real, weights in pairs)
    return Score(f"subjects by {_short(by)}", len(pairs), subjects=agreement)


def f1(pairs: Iterable[tuple[Counter[Any], Counter[Any]]]) -> float:
    """F1 over all captions of (true, found), each as often as it occurs."""
    right = both = 0
    for true, found in pairs:
        right += (true & found).total()
        both += true.total() + found.total()
    return 2 * right / max(1, both)


def _truths(truth: Path, store: Store) -> dict[str, _Truth]:
    """The truth by sample_id, for samples with a cleaned caption."""
    by_image = {t["image"]: t for t in map(json.loads, truth.read_text(encoding="utf-8").splitlines())}
    with connect(store.url) as catalog:
        images = dict(catalog.execute(_IMAGES).fetchall())
    cleaned = (row for table in _tables(store, CleanCaption) for row in rows_of(CleanCaption, table))
    captions = {row.sample_id: row.caption for row in cleaned}
    return {
        sample: _left(by_image[images[sample]], caption)
        for sample, caption in captions.items()
        if caption is not None and images.get(sample) in by_image
    }


def _left(fields: Mapping[str, Any], caption: str) -> _Truth:
    return _Truth(
        entities=Counter((e["text"], e["label"]) for e in fields["entities"] if e["text"] in caption),
        weights={s["text"]: s["weight"] for s in fields["subjects"] if s["text"] in caption},
    )


def _unlabelled(entities: Counter[tuple[str, str]]) -> Counter[str]:
    bare: Counter[str] = Counter()
    for (text, _), count in entities.items():
        bare[text] += count
    return bare


def _short(name: str) -> str:
    """A backend's readable name: without content hashes."""
    name, _, revision = name.partition("@")
    return f"{name}@{revision.split('+')[0][:12]}"

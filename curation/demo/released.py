"""Scores a release against the demo world's truth: each sample's alt text against its caption."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import pyarrow.parquet as pq

from curation.core.errors import RootError
from curation.core.store import Store
from curation.demo.claims import Aspect
from curation.demo.fates import load_truth
from curation.demo.judge import Judgement, judge
from schemas.records import Released


@dataclass(frozen=True)
class TextScore:
    """How true texts are about their pictures.

    ``recall`` is the share of all the pictures' facts that the texts state, ``hallucination`` the share of the
    texts' statements that are false (0 without any), ``with_false`` the share of texts that make a false one.
    ``stated`` and ``false`` are means a text. ``by_aspect`` is recall again, for each aspect that has facts.
    ``curation.demo.claims`` reads the statements and knows English only: text in another language counts neither as
    true nor as false.
    """

    texts: int
    recall: float
    hallucination: float
    with_false: float
    stated: float
    false: float
    by_aspect: Mapping[Aspect, float]


@dataclass(frozen=True)
class Sample:
    """A released sample; ``category`` is the class of its alt text."""

    sample_id: str
    alt_text: str
    category: str
    caption: str
    before: Judgement
    after: Judgement


@dataclass(frozen=True)
class ReleaseScore:
    """``before`` is the alt text, ``after`` the caption; in ``by_category`` pairs of them by class of alt text."""

    before: TextScore
    after: TextScore
    by_category: Mapping[str, tuple[TextScore, TextScore]]
    samples: tuple[Sample, ...]

    def figures(self) -> dict[str, Any]:
        """All figures without the samples, as plain data."""
        return {
            "before": dataclasses.asdict(self.before),
            "after": dataclasses.asdict(self.after),
            "by_category": {
                name: {"before": dataclasses.asdict(b), "after": dataclasses.asdict(a)}
                for name, (b, a) in self.by_category.items()
            },
        }


def score_release(truth: Path, store: Store) -> ReleaseScore:
    """Scores the texts that the finished release shards of a root hold.

    ``truth`` is the demo web's truth.jsonl. Raises ``RootError`` if a released sample is not from that web.
    """
    samples = tuple(_samples(truth, store))
    categories = sorted({s.category for s in samples})
    return ReleaseScore(
        before=tally([s.before for s in samples]),
        after=tally([s.after for s in samples]),
        by_category={
            c: (
                tally([s.before for s in samples if s.category == c]),
                tally([s.after for s in samples if s.category == c]),
            )
            for c in categories
        },
        samples=samples,
    )


def tally(judged: Sequence[Judgement]) -> TextScore:
    """The score of texts that were judged."""
    count = max(1, len(judged))
    stated = sum(len(j.stated) for j in judged)
    false = sum(len(j.false) for j in judged)
    claimed = false + sum(len(j.true) for j in judged)
    facts = [f for j in judged for f in j.facts]
    stated_facts = [f for j in judged for f in j.stated]
    return TextScore(
        texts=len(judged),
        recall=stated / max(1, len(facts)),
        hallucination=false / max(1, claimed),
        with_false=sum(bool(j.false) for j in judged) / count,
        stated=stated / count,
        false=false / count,
        by_aspect={
            aspect: sum(f.aspect == aspect for f in stated_facts) / there
            for aspect in get_args(Aspect)
            if (there := sum(f.aspect == aspect for f in facts))
        },
    )


def telling(samples: Sequence[Sample], most: int) -> list[Sample]:
    """Samples to show: one of each class of alt text, then a second, and so on; each class in the release's order."""
    turns: dict[str, int] = {}
    ranked = []
    for place, sample in enumerate(samples):
        turn = turns.get(sample.category, 0)
        turns[sample.category] = turn + 1
        ranked.append((turn, place))
    return [samples[place] for _, place in sorted(ranked)[:most]]


def _samples(truth: Path, store: Store) -> Iterator[Sample]:
    known = {row.sample_id: row for row in load_truth(truth)}
    for shard in store.shards(Released.table):
        data = store.read(f"release/metadata/{shard}.parquet")
        for row in pq.read_table(io.BytesIO(data), columns=["sample_id", "alt_text", "caption"]).to_pylist():
            truth_row = known.get(row["sample_id"])
            if truth_row is None:
                raise RootError(f"{store.url} released sample {row['sample_id']}, which {truth} does not hold")
            shown = truth_row.shown()
            before, after = judge(shown, row["alt_text"]), judge(shown, row["caption"])
            yield Sample(truth_row.sample_id, row["alt_text"], truth_row.alt_category, row["caption"], before, after)

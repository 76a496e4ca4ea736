"""How recognisers and subject weights do against the demo newsroom's truth."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scipy.stats import spearmanr

from curation.catalog import connect
from curation.news.rules import RuleRecogniser
from curation.news.spans import Span
from curation.news.subjects import Subject, salience
from curation.store import Store

_MOST = 64

_FOUND = """
SELECT parse_filename(r.local_file), c.caption,
    (SELECT list(e.text) FROM entities e WHERE e.sample_id = c.sample_id AND e.text IS NOT NULL),
    (SELECT map(list(s.text), list(s.weight)) FROM subjects s WHERE s.sample_id = c.sample_id AND s.text IS NOT NULL)
FROM cleaned c JOIN rows r USING (sample_id)
WHERE c.caption IS NOT NULL AND r.local_file IS NOT NULL
"""
_NAMES = """
SELECT (SELECT any_value(recogniser) FROM entities), (SELECT any_value(method) FROM subjects)
"""


@dataclass(frozen=True)
class Score:
    """``entities`` is F1 by exact span; ``subjects`` Spearman's rho of weights; null where it has neither."""

    by: str
    entities: float | None
    subjects: float | None
    captions: int


@dataclass(frozen=True)
class _Truth:
    text: str
    entities: tuple[str, ...]
    weights: Mapping[str, float]
    spans: tuple[Span, ...]


def judge(truth: Path, store: Store) -> list[Score]:
    """What the root's own backends come to, and beside them the rules and salience on the bare captions.

    In the root a caption has lost its credits, so that only what is left in it counts.
    """
    told = {t["image"]: _read(t) for t in map(json.loads, truth.read_text(encoding="utf-8").splitlines())}
    rules = RuleRecogniser()
    own = list(told.values())
    scores = [
        Score(
            f"rules@{rules.revision().split('+')[0]} (bare captions)",
            f1((t.entities, [t.text[s.start : s.end] for s in rules.entities(t.text)]) for t in own),
            None,
            len(own),
        ),
        Score(
            "salience over true entities",
            None,
            agreement((t.weights, _by_text(t.text, salience(t.text, t.spans, _MOST).subjects)) for t in own),
            len(own),
        ),
    ]
    with connect(store.url) as catalog:
        found = [row for row in catalog.execute(_FOUND).fetchall() if row[0] in told]
        recogniser, method = catalog.execute(_NAMES).fetchone() or ("", "")
    pairs = [(told[name], caption, entities or [], weights or {}) for name, caption, entities, weights in found]
    scores.append(
        Score(
            f"this run: {_short(recogniser)}",
            f1(([e for e in t.entities if e in caption], entities) for t, caption, entities, _ in pairs),
            None,
            len(pairs),
        )
    )
    left = [({k: w for k, w in t.weights.items() if k in caption}, weights) for t, caption, _, weights in pairs]
    scores.append(Score(f"this run: {_short(method)}", None, agreement(left), len(pairs)))
    return scores


def f1(pairs: Iterable[tuple[Iterable[str], Iterable[str]]]) -> float:
    """F1 over all captions of (true, found) texts."""
    right = said = true = 0
    for real, told in pairs:
        left = list(real)
        true += len(left)
        for text in told:
            said += 1
            if text in left:
                left.remove(text)
                right += 1
    return 2 * right / max(1, said + true)


def agreement(pairs: Iterable[tuple[Mapping[str, float], Mapping[str, float]]]) -> float:
    """Spearman's rho over the true subjects of all captions; a subject that was not named weighs 0."""
    true: list[float] = []
    told: list[float] = []
    for real, found in pairs:
        for text, weight in real.items():
            true.append(weight)
            told.append(found.get(text, 0.0))
    return float(spearmanr(true, told).statistic)


def _by_text(caption: str, subjects: Iterable[Subject]) -> dict[str, float]:
    return {caption[s.start : s.end]: s.weight for s in subjects}


def _read(told: dict[str, Any]) -> _Truth:
    return _Truth(
        text=told["text"],
        entities=tuple(e["text"] for e in told["entities"]),
        weights={s["text"]: s["weight"] for s in told["subjects"]},
        spans=tuple(Span(e["start"], e["end"], e["label"]) for e in told["entities"]),
    )


def _short(name: str) -> str:
    return name.split("+")[0][:60]

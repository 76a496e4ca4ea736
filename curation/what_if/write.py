"""Asks a root what other thresholds would do, and writes the page of the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from curation.core.store import Store
from curation.report.gallery import Card, Gallery, Group, Section, write_gallery
from curation.what_if.answer import Answer, answer
from curation.what_if.question import Question
from curation.what_if.sides import Shown, Sides, sides
from curation.what_if.standing import stand

FOLDER = "report/what-if"
"""Where the page stands in a root."""
_ENDS = {"kept": "kept", "rejected": "rejected", "open": "open: waits for a run"}


@dataclass(frozen=True)
class Asked:
    """A question with its answer; ``page`` is the path of the page that shows it."""

    question: Question
    answer: Answer
    sides: tuple[Sides, ...]
    page: str


def what_if(store: Store, sets: Sequence[str], target: Store | None = None) -> Asked:
    """Judges all rows anew by a recipe with ``sets``, and writes the page into the root, or into another folder.

    Raises ``RecipeError`` for a setting that cannot be judged from what is stored.
    """
    question = Question.of(store, sets)
    with stand(question) as connection:
        found = answer(connection, question)
        beside = tuple(sides(connection, question))
    folder = FOLDER if target is None else "what-if"
    return Asked(question, found, beside, write_gallery(store, target or store, folder, _page(question, found, beside)))


def _page(question: Question, found: Answer, beside: Sequence[Sides]) -> Gallery:
    before, after = found.kept
    asked = (
        "; ".join(f"{d.key}: {spelt(d.theirs)} → {spelt(d.ours)}" for d in question.changed) or "the root's own recipe"
    )
    columns = ("stage", "fate", "reason, or what is awaited", "now", "then", "change")
    rows: list[list[str | int]] = [
        [li.stage, _ENDS[li.fate], li.reason, li.before, li.after, f"{li.change:+,}"] for li in found.lines
    ]
    return Gallery(
        "Lapidary: what if",
        asked,
        f"{found.moved:,} of {found.rows:,} rows would end elsewhere. Judged from what is stored; nothing was run.",
        [
            Section("funnel", "Rows by where they end", "", columns, rows, (3, 4, 5), tuple(found.notes())),
            *(_section(at, s) for at, s in enumerate(beside)),
        ],
        [(before, "kept now", ""), (after, "kept then", "kept"), (found.moved, "end elsewhere", "rejected")],
    )


def _section(at: int, found: Sides) -> Section:
    stay, go = (tuple(map(_card, side)) for side in (found.stay, found.go))
    return Section(
        f"threshold-{at}",
        f"{found.key} = {spelt(found.threshold)}",
        f"The root has {spelt(found.before)}. The nearest rows on either side of the threshold, by this value alone.",
        groups=(Group("within", stay), Group("beyond", go)),
    )


def _card(shown: Shown) -> Card:
    return Card(f"{shown.value:.5g}", shown.text, shown.image)


def spelt(value: Any) -> str:
    """A value of a recipe for people."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {spelt(v)}" for key, v in value.items())
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)

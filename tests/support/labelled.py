"""The captions labelled by hand, and how a recogniser does on them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from curation.news.spans import Span

FILE = Path(__file__).parents[1] / "data" / "news_entities.txt"
_MARK = re.compile(r"\[([^\[\]|]+)\|([A-Z_]+)\]")


@dataclass(frozen=True)
class Labelled:
    """A caption with its true entities; every second one is held back from tuning."""

    outlet: str
    caption: str
    entities: tuple[Span, ...]
    held_back: bool


@dataclass(frozen=True)
class Accuracy:
    """Of exact spans, whatever their labels; and the share of labels that are right among exact spans."""

    precision: float
    recall: float
    f1: float
    labels: float


def labelled() -> list[Labelled]:
    lines = [line for line in FILE.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    return [_parse(line, held_back=n % 2 == 1) for n, line in enumerate(lines)]


def accuracy(found: Callable[[str], list[Span]], captions: list[Labelled]) -> Accuracy:
    right = said = true = labels = 0
    for item in captions:
        told = {(s.start, s.end): s.label for s in found(item.caption)}
        real = {(s.start, s.end): s.label for s in item.entities}
        both = told.keys() & real.keys()
        right += len(both)
        said += len(told)
        true += len(real)
        labels += sum(told[p] == real[p] for p in both)
    precision, recall = right / max(1, said), right / max(1, true)
    f1 = 2 * precision * recall / max(1e-9, precision + recall)
    return Accuracy(precision, recall, f1, labels / max(1, right))


def _parse(line: str, *, held_back: bool) -> Labelled:
    outlet, marked = line.split("\t")
    text, spans, at = "", [], 0
    for mark in _MARK.finditer(marked):
        text += marked[at : mark.start()]
        spans.append(Span(len(text), len(text) + len(mark.group(1)), mark.group(2)))
        text += mark.group(1)
        at = mark.end()
    return Labelled(outlet, text + marked[at:], tuple(spans), held_back)

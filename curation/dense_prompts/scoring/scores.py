"""Scores from answers: dependencies applied, by category of prompt and by kind of question, with intervals.

A picture's score is the share of its questions that count as answered as expected, where a question whose parent does
not count does not count either; a prompt's score is the mean of its pictures', and the score the mean of the prompts'
(DSG, arXiv 2310.18235). The score of a kind of question is the share of all questions of that kind.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from curation.dense_prompts.questions import held
from curation.dense_prompts.release_stage import Item
from curation.dense_prompts.scoring.answers import Answered
from schemas.prompt_scores import Interval
from schemas.questions import Question

Group = Literal["all", "prompts", "questions"]


@dataclass(frozen=True)
class Score:
    """A score in 0..1 with its interval; ``group`` is what ``name`` is a kind of."""

    group: Group
    name: str
    score: float
    low: float
    high: float
    prompts: int
    questions: int  # answers that count, over all pictures


@dataclass
class Tally:
    """What a prompt's pictures came to: the sum of their scores, and by kind of question (counted, asked)."""

    pictures: int = 0
    total: float = 0.0

    def __post_init__(self) -> None:
        self.kinds: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])

    @property
    def score(self) -> float:
        return self.total / self.pictures

    def add(self, questions: Sequence[Question], answered: Mapping[int, bool]) -> None:
        """Adds the answers about one picture."""
        counted = held(questions, answered)
        self.pictures += 1
        self.total += sum(counted.values()) / len(counted)
        for question in questions:
            for kind in kinds_of(question):
                self.kinds[kind][0] += counted[question.id]
                self.kinds[kind][1] += 1


def kinds_of(question: Question) -> list[str]:
    """The names under which a question counts: its category, and its finer kind where it has one."""
    finer = [f"{question.category} - {question.detail}"] if question.detail else []
    return [question.category, *finer]


def tallies(answers: Iterable[Answered], items: Mapping[str, Item]) -> dict[str, Tally]:
    """The tally of each prompt that has pictures, by its id."""
    found: dict[str, Tally] = {}
    by_picture: dict[tuple[str, int], dict[int, bool]] = {}
    for answer in answers:
        key = answer.picture.item_id, answer.picture.number
        by_picture.setdefault(key, {})[answer.question.id] = answer.yes
    for (name, _), answered in by_picture.items():
        found.setdefault(name, Tally()).add(items[name].questions, answered)
    return found


def scores(found: Mapping[str, Tally], items: Mapping[str, Item], interval: Interval) -> list[Score]:
    """The score of all, of each category of prompts, and of each kind of question. Raises ``ValueError`` for none."""
    if not found:
        raise ValueError("no prompt has a picture, so there is nothing to score")
    names = sorted(found)
    weights = _weights(len(names), interval)
    return list(_scores(names, found, items, weights, interval.confidence))


def _weights(prompts: int, interval: Interval) -> NDArray[np.float64]:
    """How often each prompt is drawn, a row a draw."""
    rng = np.random.Generator(np.random.PCG64(interval.seed))
    return rng.multinomial(prompts, np.full(prompts, 1 / prompts), size=interval.draws).astype(np.float64)


def _scores(
    names: Sequence[str],
    found: Mapping[str, Tally],
    items: Mapping[str, Item],
    weights: NDArray[np.float64],
    confidence: float,
) -> Iterator[Score]:
    def made(group: Group, name: str, counted: Sequence[float], asked: Sequence[float], questions: int) -> Score:
        up, down = np.asarray(counted, np.float64), np.asarray(asked, np.float64)
        drawn_up, drawn_down = weights @ up, weights @ down
        drawn = drawn_up[drawn_down > 0] / drawn_down[drawn_down > 0]
        low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
        score = float(up.sum() / down.sum())
        return Score(
            group, name, score, min(score, float(low)), max(score, float(high)), int((down > 0).sum()), questions
        )

    def of_prompts(group: Group, name: str, among: Sequence[bool]) -> Score:
        counted = [found[n].score if there else 0.0 for n, there in zip(names, among, strict=True)]
        asked = sum(len(items[n].questions) * found[n].pictures for n, there in zip(names, among, strict=True) if there)
        return made(group, name, counted, [float(there) for there in among], asked)

    yield of_prompts("all", "all", [True] * len(names))
    for category in sorted({items[n].category for n in names}):
        yield of_prompts("prompts", category, [items[n].category == category for n in names])
    for kind in sorted({kind for n in names for kind in found[n].kinds}):
        pairs = [found[n].kinds.get(kind, [0, 0]) for n in names]
        yield made(
            "questions", kind, [float(p[0]) for p in pairs], [float(p[1]) for p in pairs], sum(p[1] for p in pairs)
        )

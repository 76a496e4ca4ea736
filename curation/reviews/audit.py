"""Audits: how often released texts are wrong, by people's answers about a random sample, and how well they agree.

A sample counts once. Where people answered differently, the majority counts, and a tie as an error.

Answers are about captions as they were read. They count while the release has that caption, and also where a person
has since edited or rejected it: who mends what an audit finds does not make the rest of the release better. Captions
that a run made anew, and samples that a filter took out, are not what was audited.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import duckdb

QUESTIONS = {
    "anything_false": "anything false",
    "subject_missing": "main subject missing",
}
"""The columns of the two answers, with what a yes says."""
_Z = 1.959963984540054  # of a normal distribution's middle 95 %
_ANSWERS = """
WITH undone AS (
    SELECT sample_id, undoes AS review_id FROM reviews WHERE action = 'undo'
), answers AS (
    SELECT sample_id, who,
        max_by({'faulty': anything_false, 'missing': subject_missing, 'seen': before}, review_id) AS a
    FROM (FROM reviews ANTI JOIN undone USING (sample_id, review_id)) WHERE action = 'audit'
    GROUP BY sample_id, who
)
SELECT a.sample_id, a.who, a.a.faulty, a.a.missing
FROM answers a
LEFT JOIN placements p USING (sample_id)
LEFT JOIN reviewed r USING (sample_id)
WHERE p.caption = a.a.seen OR r.rejected OR (r.edited AND p.sample_id IS NOT NULL)
ORDER BY ALL
"""


@dataclass(frozen=True)
class Rate:
    """A share of the audited samples, with its 95 % interval by Wilson's formula (1927). NaN where there are none."""

    errors: int
    samples: int

    @property
    def share(self) -> float:
        return self.errors / self.samples if self.samples else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """p̃ ± z/(1 + z²/n) · sqrt(p(1-p)/n + z²/4n²), with p̃ = (p + z²/2n) / (1 + z²/n)."""
        if not self.samples:
            return math.nan, math.nan
        n, p = self.samples, self.share
        spread = 1 + _Z * _Z / n
        middle = (p + _Z * _Z / (2 * n)) / spread
        half = _Z / spread * math.sqrt(p * (1 - p) / n + _Z * _Z / (4 * n * n))
        # At the ends the formula gives 0 and 1 but for rounding.
        return (0.0 if not self.errors else max(0.0, middle - half)), (1.0 if p == 1 else min(1.0, middle + half))


@dataclass(frozen=True)
class Agreement:
    """Two people's answers about the same samples. ``kappa`` is Cohen's (1960) by question.

    None where both gave one and the same answer to every sample: then chance alone would agree as often.
    """

    people: tuple[str, str]
    samples: int
    kappa: Mapping[str, float | None]


@dataclass(frozen=True)
class Audit:
    """What people answered about a random sample of the release; ``either`` counts samples with any fault."""

    samples: int
    people: int
    rates: Mapping[str, Rate]
    either: Rate
    agreements: tuple[Agreement, ...]


def audit_of(connection: duckdb.DuckDBPyConnection) -> Audit | None:
    """What the table ``reviews`` says of the release as its views have it; None where nobody has audited it."""
    rows = connection.execute(_ANSWERS).fetchall()
    return made_of([(str(s), str(w), (bool(f), bool(m))) for s, w, f, m in rows])


def made_of(answers: Sequence[tuple[str, str, tuple[bool, bool]]]) -> Audit | None:
    """An audit of (sample, person, answers to the two questions)."""
    by_sample: defaultdict[str, list[tuple[bool, bool]]] = defaultdict(list)
    by_person: defaultdict[str, dict[str, tuple[bool, bool]]] = defaultdict(dict)
    for sample, who, said in answers:
        by_sample[sample].append(said)
        by_person[who][sample] = said
    if not by_sample:
        return None
    judged = [tuple(_majority([said[q] for said in every]) for q in range(2)) for every in by_sample.values()]
    rates = {name: Rate(sum(j[q] for j in judged), len(judged)) for q, name in enumerate(QUESTIONS)}
    pairs = (_agreement(pair, by_person) for pair in combinations(sorted(by_person), 2))
    agreements = sorted((a for a in pairs if a.samples), key=lambda a: (-a.samples, a.people))
    return Audit(len(judged), len(by_person), rates, Rate(sum(map(any, judged)), len(judged)), tuple(agreements))


def _majority(said: Sequence[bool]) -> bool:
    return 2 * sum(said) >= len(said)


def _agreement(people: tuple[str, str], by_person: Mapping[str, Mapping[str, tuple[bool, bool]]]) -> Agreement:
    first, second = (by_person[who] for who in people)
    both = sorted(first.keys() & second.keys())
    found = {name: kappa([(first[s][q], second[s][q]) for s in both]) for q, name in enumerate(QUESTIONS)}
    return Agreement(people, len(both), found)


def kappa(pairs: Sequence[tuple[bool, bool]]) -> float | None:
    """Cohen's kappa of two people's answers: (p_o - p_e) / (1 - p_e); None where p_e is 1, or nothing is there."""
    n = len(pairs)
    if not n:
        return None
    agreed = sum(a == b for a, b in pairs) / n
    yes_a, yes_b = sum(a for a, _ in pairs) / n, sum(b for _, b in pairs) / n
    by_chance = yes_a * yes_b + (1 - yes_a) * (1 - yes_b)
    return None if by_chance == 1 else (agreed - by_chance) / (1 - by_chance)

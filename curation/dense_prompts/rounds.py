"""The rounds of writing: how many prompts of each category are planned, until all quotas are full.

A round's plan is a file, ``plans/round-000.json``, written before its shards; it follows from what the rounds before it
brought, so that a run which was killed plans the same again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from curation.core.store import Store
from curation.dense_prompts.plan_stage import PLANS
from schemas.prompt_records import PromptCheck, PromptChoice, PromptOverlap, WrittenPrompt
from schemas.records import SourceRow

_MOST_SPARE = 3  # times what lacks is planned at most, however much was rejected before


@dataclass(frozen=True)
class Round:
    """``numbers`` are [start, stop) of each category; ``quotas`` those that the round was planned for."""

    name: str
    key: str
    quotas: dict[str, int]
    numbers: dict[str, tuple[int, int]]

    def shards(self, rows: int) -> list[str]:
        """Names of its shards of so many rows."""
        total = sum(stop - start for start, stop in self.numbers.values())
        return [f"{self.name}-{part:05d}" for part in range(-(-total // rows))]

    def to_json(self) -> bytes:
        return json.dumps({"key": self.key, "quotas": self.quotas, "numbers": self.numbers}, sort_keys=True).encode()


def read_rounds(store: Store, key: str) -> list[Round]:
    """The rounds that were planned with today's seeds; others are forgotten, and what was written for them."""
    found: list[Round] = []
    for file in store.names(PLANS, ".json"):
        data = json.loads(store.read(f"{PLANS}/{file}"))
        numbers = {name: (int(a), int(b)) for name, (a, b) in data["numbers"].items()}
        found.append(Round(file.removesuffix(".json"), data["key"], data["quotas"], numbers))
    if all(r.key == key for r in found):
        return found
    for r in reversed(found):  # the first one last: while it is there, a killed run finds what is left to forget
        for shard in [s for s in store.shards(SourceRow.table) if s.startswith(f"{r.name}-")]:
            for record in (PromptChoice, PromptOverlap, PromptCheck, WrittenPrompt, SourceRow):
                store.retire(record.table, shard)
        store.remove(f"{PLANS}/{r.name}.json")
    return []


def next_round(
    rounds: list[Round], key: str, quotas: Mapping[str, int], chosen: Mapping[str, int], most: int
) -> Round | None:
    """The round that may fill what lacks; None where nothing does, or ``most`` rounds were made for these quotas."""
    made = 0
    for r in reversed(rounds):
        if r.quotas != dict(quotas):
            break
        made += 1
    lacking = {name: quota - chosen.get(name, 0) for name, quota in quotas.items() if quota > chosen.get(name, 0)}
    if not lacking or made >= most:
        return None
    numbers: dict[str, tuple[int, int]] = {}
    for name, lacks in lacking.items():
        start = max((r.numbers[name][1] for r in rounds if name in r.numbers), default=0)
        # What was planned for each prompt that was chosen, so that what is rejected again is made up for.
        spare = min(_MOST_SPARE * lacks, -(-lacks * start // max(1, chosen.get(name, 0)))) if start else lacks
        numbers[name] = (start, start + max(lacks, spare))
    return Round(f"round-{len(rounds):03d}", key, dict(quotas), numbers)


def lacking_in(quotas: Mapping[str, int], chosen: Mapping[str, int]) -> Iterator[str]:
    """What people are told of categories that are not full."""
    for name, quota in quotas.items():
        if (have := chosen.get(name, 0)) < quota:
            yield f"{name}: {have:,} of {quota:,}"

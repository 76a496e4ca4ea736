"""Plans what prompts are to be written about: which briefs, and which captions of roots."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import ClassVar

from curation.core.stage import Resources, Shard, Work, setting
from curation.core.verdict import Verdict, ViewColumn
from curation.dense_prompts.near import plain
from curation.dense_prompts.questions import stem, words_of
from curation.dense_prompts.seeds import Seeds, draw_brief
from curation.dense_prompts.training_texts import TrainingRoot, open_training_roots, smallest
from schemas.arrow import Record, table_of
from schemas.dense_prompts import PromptSource
from schemas.ids import sample_id
from schemas.records import SourceRow

PLANS = "plans"
SEEDS, CAPTIONS = "seeds", "captions"
RootShards = tuple[tuple[str, tuple[tuple[str, str], ...]], ...]


def plan_file(shard: str) -> str:
    """Where the plan of a shard's round lies in the root."""
    return f"{PLANS}/{shard.rpartition('-')[0]}.json"


@dataclass(frozen=True)
class PlanStage:
    """Draws what each prompt is about: a brief from the seeds, or a caption of a training root.

    A row's number in its category decides all of it: the same number is the same row in every run. ``numbers`` of a
    shard stand in the plan of its round, which the step writes before. With ``captions`` above 0 that share of
    numbers takes captions, in an order drawn by hash, as far as they last; ``most`` of a category at most.
    """

    name: ClassVar[str] = "plan"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[type[Record], ...]] = ()
    writes: ClassVar[type[Record]] = SourceRow

    seeds: str
    seed: int
    captions: float
    roots: RootShards = ()
    seeds_name: str = setting("general", digest=False)
    shard_rows: int = setting(500, digest=False)
    limit: int = setting(0, digest=True, later=True)
    urls: tuple[str, ...] = setting((), digest=False)
    most: int = setting(0, digest=False)
    resources: Resources = setting(Resources(workers=1), digest=False)

    @classmethod
    def declared(cls, recipe: PromptSource, urls: tuple[str, ...], size: int) -> PlanStage:
        """The stage before a look at seeds and roots; ``ready`` completes it."""
        share = recipe.captions if urls else 0.0
        return cls(
            "", recipe.seed, share, seeds_name=recipe.seeds, shard_rows=recipe.shard_rows, limit=recipe.limit,
            urls=urls, most=4 * size,
        )  # fmt: skip

    def ready(self, store: object) -> PlanStage:
        """Raises ``RecipeError`` for seeds and ``SourceError`` for roots that cannot be used."""
        roots = open_training_roots(self.urls, None)
        found = tuple((root.url, root.shards()) for root in roots)
        return replace(self, seeds=Seeds.load(self.seeds_name).sha256, roots=found)

    @property
    def verdict(self) -> Verdict:
        gone = ViewColumn("gone", "false", "whether the source no longer holds the row: never", in_samples=True)
        return Verdict(SourceRow.table, (SourceRow,), waiting="false", by_row=True, columns=(gone,))

    @contextmanager
    def open(self) -> Iterator[Work]:
        seeds = Seeds.load(self.seeds_name)
        captions = self._captions(seeds, open_training_roots(self.urls, None)) if self.captions else {}
        yield lambda shard: table_of(SourceRow, self._rows(shard, seeds, captions))

    def _rows(self, shard: Shard, seeds: Seeds, captions: Mapping[str, list[tuple[str, str]]]) -> Iterator[SourceRow]:
        plan = json.loads(shard.store.read(plan_file(shard.name)))
        part = int(shard.name.rpartition("-")[2])
        drawn = [(name, n) for name, (start, stop) in plan["numbers"].items() for n in range(start, stop)]
        for category, number in drawn[part * self.shard_rows : (part + 1) * self.shard_rows]:
            place = int(number * self.captions)  # of the captions that earlier numbers took
            takes = int((number + 1) * self.captions) > place and place < len(captions.get(category, ()))
            if takes:
                name, text = captions[category][place]
                yield _row(CAPTIONS, category, number, text, name)
            else:
                yield _row(SEEDS, category, number, str(draw_brief(seeds, category, number, self.seed)), "")

    def _captions(self, seeds: Seeds, roots: tuple[TrainingRoot, ...]) -> dict[str, list[tuple[str, str]]]:
        """Captions by the category whose words they have most of, each text once, in an order drawn by hash."""
        of = categories_by_word(seeds)
        found: dict[str, dict[str, tuple[str, str, str]]] = {}
        for root in roots:
            for sample, text in root.captions(self.limit):
                category = category_of(of, text)
                key = hashlib.sha256(f"{self.seed}:{plain(text)}".encode()).hexdigest()
                if category:
                    found.setdefault(category, {}).setdefault(key, (key, f"{root.url}#{sample}", text))
        return {category: smallest(texts.values(), self.most) for category, texts in found.items()}


def categories_by_word(seeds: Seeds) -> dict[str, list[str]]:
    """The categories whose subjects have a word, by its stem; a subject of several words counts by its last."""
    found: dict[str, list[str]] = {}
    for category in seeds.categories:
        for subject in category.subjects:
            head = stem(words_of(subject.partition(" of ")[0])[-1])
            found.setdefault(head, []).append(category.name)
    return found


def category_of(by_word: Mapping[str, list[str]], text: str) -> str:
    """The category that most different words of a text speak of, of equals the first word's; empty for none."""
    counts: dict[str, int] = {}
    for word in dict.fromkeys(map(stem, words_of(text))):
        for category in by_word.get(word, ()):
            counts[category] = counts.get(category, 0) + 1
    return max(counts, key=lambda name: counts[name]) if counts else ""


def _row(made_from: str, category: str, number: int, text: str, name: str) -> SourceRow:
    """A row of the plan; ``name`` says which sample of which root a caption is of."""
    source_file = f"{made_from}/{category}"
    return SourceRow(
        sample_id=sample_id(f"{source_file}/{number}", text),
        source_file=source_file,
        source_row=number,
        url=name or None,
        alt_text=text,
        **dict.fromkeys(
            (
                *("claimed_width", "claimed_height", "similarity", "aesthetic", "punsafe", "pwatermark", "language"),
                *("license", "expected_md5", "expected_sha256", "local_file", "local_offset", "local_size"),
                *("reason", "detail"),
            )
        ),
    )

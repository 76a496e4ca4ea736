"""The texts of training roots: what their releases hold, and what prompts share with them."""

from __future__ import annotations

import heapq
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from curation.core.errors import LapidaryError, SourceError
from curation.core.store import Store
from curation.dedupe.across.shared_text import runs_of
from curation.dense_prompts.near import Shingle, prefix, shingles
from schemas.records import Placement

_COLUMNS = ("sample_id", "alt_text", "caption", "captions")
DENSE = "dense"  # the kind of caption that prompts are made from, where a root has it


@dataclass(frozen=True)
class TrainingRoot:
    """A root whose release is, or will be, trained on."""

    url: str
    store: Store

    def shards(self) -> tuple[tuple[str, str], ...]:
        """The shards of its placements, each with the sha256 of its bytes."""
        entries = self.store.entries(Placement.table)
        return tuple((s, entries[s].writes[self.store.table_file(Placement.table, s)]) for s in sorted(entries))

    def texts(self) -> Iterator[tuple[str, list[str]]]:
        """Each sample's id and released texts: its alt text and all its captions, none twice."""
        for sample, alt_text, caption, captions in self._rows():
            yield sample, list(dict.fromkeys([alt_text, caption, *json.loads(captions).values()]))

    def captions(self, limit: int = 0) -> Iterator[tuple[str, str]]:
        """Each sample's id and dense caption, else the caption that its release prefers; the first ``limit``."""
        for number, (sample, _, caption, captions) in enumerate(self._rows()):
            if limit and number >= limit:
                return
            yield sample, json.loads(captions).get(DENSE, caption)

    def _rows(self) -> Iterator[tuple[str, str, str, str]]:
        for shard, _ in self.shards():
            table = self.store.read_table(Placement, shard, _COLUMNS)
            yield from zip(*(table.column(c).to_pylist() for c in _COLUMNS), strict=True)


def open_training_roots(urls: Iterable[str], own: Store | None) -> tuple[TrainingRoot, ...]:
    """The roots, each once. Raises ``SourceError`` for one that is no root with a release, or that is ``own``."""
    found: dict[str, TrainingRoot] = {}
    for url in urls:
        try:
            store = Store(url)
            empty = not store.shards(Placement.table)
        except (LapidaryError, OSError) as error:
            raise SourceError(f"cannot read the root {url}: {error}") from error
        if own is not None and store.path("") == own.path(""):
            raise SourceError(f"{url} is the root of the prompts itself; name a training root")
        if empty:
            raise SourceError(f"{url} holds no release of image-text pairs; name a root of refine or anchor that does")
        found.setdefault(store.path(""), TrainingRoot(url, store))
    return tuple(found.values())


def smallest(captions: Iterable[tuple[str, str, str]], most: int) -> list[tuple[str, str]]:
    """Of (hash, name, text) the ``most`` with the smallest hashes, in their order, as (name, text)."""
    return [(name, text) for _, name, text in heapq.nsmallest(most, captions)]


@dataclass
class _Best:
    """What a prompt has most in common with a training text."""

    run: tuple[str, str, str] | None = None  # root, sample, shared words
    near: tuple[float, str, str] = (0.0, "", "")  # share, root, sample


@dataclass
class Comparison:
    """Prompts in memory, by their runs of words; training texts stream past them.

    ``words`` is the length of a run that no prompt may share, 0 for none; ``near`` the share of a prompt's shingles
    that may not stand in one text.
    """

    words: int
    near: float
    _runs: defaultdict[tuple[str, ...], list[int]] = field(default_factory=lambda: defaultdict(list))
    _first: defaultdict[Shingle, list[int]] = field(default_factory=lambda: defaultdict(list))
    _shingles: list[frozenset[Shingle]] = field(default_factory=list)
    _best: list[_Best] = field(default_factory=list)

    @classmethod
    def of(cls, prompts: Sequence[str], words: int, near: float) -> Comparison:
        """These prompts, known by their number."""
        made = cls(words, near, _shingles=[shingles(prompt) for prompt in prompts], _best=[_Best() for _ in prompts])
        frequency = Counter(shingle for own in made._shingles for shingle in own)
        for number, prompt in enumerate(prompts):
            for run in dict.fromkeys(runs_of(prompt, words)):
                made._runs[run].append(number)
            for shingle in prefix(made._shingles[number], near, frequency):
                made._first[shingle].append(number)
        return made

    def see(self, root: str, sample: str, text: str) -> None:
        """Notes what the prompts share with a training text; the result does not depend on the order of texts."""
        for run in runs_of(text, self.words):
            for number in self._runs.get(run, ()):
                found = (root, sample, " ".join(run))
                best = self._best[number]
                best.run = min(found, best.run or found)
        told = shingles(text)
        for number in {number for shingle in told for number in self._first.get(shingle, ())}:
            own, best = self._shingles[number], self._best[number]
            share = len(own & told) / len(own)
            if share > best.near[0] or (share == best.near[0] and (root, sample) < best.near[1:]):
                best.near = (share, root, sample)

    def shared(self) -> Mapping[int, tuple[str, str, str]]:
        """Root, sample and shared words of each prompt that has a run in common with a text."""
        return {n: b.run for n, b in enumerate(self._best) if b.run is not None}

    def nearest(self) -> Mapping[int, tuple[float, str, str]]:
        """Share of shingles, root and sample of each prompt that is near a text."""
        return {n: b.near for n, b in enumerate(self._best) if b.near[0] >= self.near}

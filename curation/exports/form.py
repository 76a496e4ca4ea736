"""What a form is: one frozen dataclass in a file of its own, named in ``installed.py``.

    @dataclass(frozen=True)
    class Listed:
        '''A list of captions, a file a shard.'''                 # what --help says of it

        name: ClassVar[str] = "listed"
        version: ClassVar[int] = 1                                # raise it when the same release gives other bytes
        uses: ClassVar[frozenset[str]] = frozenset()              # further settings that it reads

        def shard(self, tar, samples, place, settings):
            lines = [f"{s.sample_id} {s.line}" for s in samples]
            (place.files / f"{tar.name}.txt").write_text("\\n".join(lines))
            return {"lines": len(lines)}                          # what finish will want to know, small

        def finish(self, shards, place, settings):
            (place.files / "all.json").write_text(json.dumps([s.facts for s in shards]))

Another package's form is found by an entry point of the group ``lapidary.exports`` whose name is the form's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

from curation.exports.release import ReleaseTar, Sample
from curation.load.buckets import Buckets
from curation.load.captions import Captions

Facts = Mapping[str, Any]
"""What a form remembers of a shard, as JSON has it."""


@dataclass(frozen=True)
class Settings:
    """What the user asked for. ``tags`` is a kind of caption that is written beside the drawn one.

    ``seen_as`` is the path of the folder as the trainer sees it. With ``link`` tars are linked instead of copied.
    """

    captions: Captions = field(default_factory=lambda: Captions({"preferred": 1.0}))
    buckets: Buckets = field(default_factory=Buckets)
    tags: str | None = None
    seen_as: str = "."
    link: bool = False

    def told(self, uses: frozenset[str]) -> dict[str, Any]:
        """As JSON, without the further settings that a form does not use."""
        sizes = {"pixels": self.buckets.pixels, "step": self.buckets.step, "max_aspect": self.buckets.max_aspect}
        further = {"buckets": sizes, "tags": self.tags, "seen_as": self.seen_as, "link": self.link}
        weights = {kind: weight for kind, weight in sorted(self.captions.weights.items()) if weight > 0}
        drawn = {"captions": weights, "seed": self.captions.seed}
        return drawn | {name: value for name, value in further.items() if name in uses}


FURTHER = frozenset({"buckets", "tags", "seen_as", "link"})
"""The further settings that there are."""


@dataclass(frozen=True)
class Place:
    """Where a form writes. What stands in ``files`` is moved into the export once it is whole, file by file, or as one
    for a folder that has the tar's name. Files in ``parts`` are kept aside: ``finish`` finds those of all shards there.
    """

    files: Path
    parts: Path


@dataclass(frozen=True)
class Done:
    """A finished shard: its tar, its number of samples, and what the form returned."""

    tar: str
    split: str
    samples: int
    facts: Facts


class Form(Protocol):
    """See the module."""

    name: ClassVar[str]
    version: ClassVar[int]
    uses: ClassVar[frozenset[str]]

    def shard(self, tar: ReleaseTar, samples: Iterable[Sample], place: Place, settings: Settings) -> Facts:
        """Writes what comes of one tar. Names hold the tar's, so that no two shards write the same file."""
        ...

    def finish(self, shards: Sequence[Done], place: Place, settings: Settings) -> None:
        """Writes what stands for all shards, in the order of their tars."""
        ...


def as_json(value: Any) -> bytes:
    """JSON that is the same on every machine, for people too."""
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def by_split(shards: Sequence[Done]) -> dict[str, list[Done]]:
    """The shards of each split that there are."""
    found: dict[str, list[Done]] = {}
    for shard in shards:
        found.setdefault(shard.split, []).append(shard)
    return found

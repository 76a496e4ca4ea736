"""The manifest's entry: the proof that a shard of a table is finished, and of what it was made from."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True, slots=True)
class ShardEntry:
    """Published after the data that it vouches for.

    ``digest`` is that of the stage's settings; ``reads`` and ``writes`` map a path in the root to the
    sha256 of its bytes. The shard is finished exactly while ``digest`` and ``reads`` are today's and ``undecided``,
    the number of rows on which no verdict was reached, is 0: the next run works on such a shard again.
    """

    table: str
    shard: str
    digest: str
    reads: dict[str, str]
    writes: dict[str, str]
    rows_in: int
    rows_out: int
    bytes_out: int
    seconds: float
    worker: str
    undecided: int = 0

    def finishes(self, digest: str, reads: Mapping[str, str]) -> bool:
        """Whether the shard is finished, for a stage of this digest that reads this."""
        return self.digest == digest and self.reads == reads and not self.undecided

    def to_json(self) -> bytes:
        fields = dataclasses.asdict(self)
        if not self.undecided:
            del fields["undecided"]
        return json.dumps(fields, sort_keys=True, indent=1).encode()

    @classmethod
    def from_json(cls, data: bytes | str) -> ShardEntry:
        """Raises ``ValueError`` when the bytes are not an entry."""
        try:
            return cls(**json.loads(data))
        except TypeError as error:
            raise ValueError(f"not a manifest entry: {error}") from error


@dataclasses.dataclass(frozen=True, slots=True)
class ShardFailure:
    """What stopped a shard; deleted when the shard succeeds."""

    table: str
    shard: str
    error: str
    traceback: str
    worker: str
    attempts: int

    def to_json(self) -> bytes:
        return json.dumps(dataclasses.asdict(self), sort_keys=True, indent=1).encode()

    @classmethod
    def from_json(cls, data: bytes | str) -> ShardFailure:
        """Raises ``ValueError`` when the bytes are not a failure."""
        try:
            return cls(**json.loads(data))
        except TypeError as error:
            raise ValueError(f"not a shard failure: {error}") from error


@dataclasses.dataclass(frozen=True, slots=True)
class ReduceEntry:
    """The proof that a reduce over a whole table is finished.

    ``state`` is the reduce's own memory for the next, incremental run (plain JSON data).
    """

    table: str
    digest: str
    reads: dict[str, str]
    shards: dict[str, str]
    seconds: float
    state: dict[str, Any]

    def to_json(self) -> bytes:
        return json.dumps(dataclasses.asdict(self), sort_keys=True, indent=1).encode()

    @classmethod
    def from_json(cls, data: bytes | str) -> ReduceEntry:
        """Raises ``ValueError`` when the bytes are not an entry."""
        try:
            return cls(**json.loads(data))
        except TypeError as error:
            raise ValueError(f"not a reduce entry: {error}") from error

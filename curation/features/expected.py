"""What features will take up, estimated from the tokens of captions, or the windows, that are there already."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

import pyarrow as pa
import pyarrow.compute as pc

from curation.core.store import Store
from schemas.arrow import Record
from schemas.features import CaptionFeatures
from schemas.records import Placement
from schemas.visual import VisualFeatures

_SHARDS = 20  # looked at, of all
_GUESSED_TOKENS = 100.0
_BYTES = 2  # of a value of both stored types


@dataclass(frozen=True)
class Expected:
    """Captions a sample, tokens a caption, and how they are known."""

    captions: float
    tokens: float
    basis: str

    def bytes_of(self, captions: int, width: int, max_tokens: int) -> str:
        """For people: what so many captions take up, and what they would if all were padded."""
        tokens = min(self.tokens, max_tokens)
        valid, padded = captions * tokens * width * _BYTES, captions * max_tokens * width * _BYTES
        return (
            f"{size(valid):>12} for {tokens:,.0f} tokens a caption ({self.basis}); padded to {max_tokens} tokens "
            f"it would be {size(padded)}"
        )


def expect(store: Store | None, encoder_key: str, kinds: int) -> Expected:
    """An estimate from features of the same encoder in this root, else from its placements, else a guess."""
    made = _rows(store, CaptionFeatures, ["sample_id", "tokens", "encoder_key"])
    if made is not None:
        made = made.filter(pc.equal(made.column("encoder_key"), pa.scalar(encoder_key)))
        if made.num_rows:
            samples = pc.count_distinct(made.column("sample_id")).as_py()
            tokens = pc.mean(made.column("tokens")).as_py()
            return Expected(made.num_rows / samples, tokens, "as measured in this root")
    placed = _rows(store, Placement, ["clip_tokens"])
    if placed is not None and placed.num_rows:
        tokens = pc.mean(placed.column("clip_tokens")).as_py() + 2
        return Expected(kinds, tokens, "CLIP's tokens of the captions in .txt")
    return Expected(kinds, _GUESSED_TOKENS, "a guess")


def looks_a_sample(store: Store | None, encoder_key: str, most: int) -> tuple[float, str]:
    """Looks at a sample, and how that is known: from those of the same encoder in this root, else as many as may be."""
    made = _rows(store, VisualFeatures, ["sample_id", "encoder_key"])
    if made is not None:
        made = made.filter(pc.equal(made.column("encoder_key"), pa.scalar(encoder_key)))
        if made.num_rows:
            return made.num_rows / pc.count_distinct(made.column("sample_id")).as_py(), "as measured in this root"
    return float(most), f"at most {most} a picture"


def size(count: float) -> str:
    """Bytes for people: "1.0 MiB", "3.2 GiB"."""
    for unit in ("KiB", "MiB", "GiB"):
        count /= 1024
        if count < 1024:
            return f"{count:,.1f} {unit}"
    return f"{count / 1024:,.1f} TiB"


def _rows(store: Store | None, record: type[Record], names: list[str]) -> pa.Table | None:
    """These columns of the first shards of a table; None where it has none."""
    shards = list(islice(store.shards(record.table), _SHARDS)) if store is not None else []
    if store is None or not shards:
        return None
    return pa.concat_tables([store.read_table(record, shard, names) for shard in shards])

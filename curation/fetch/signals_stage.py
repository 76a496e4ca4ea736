"""The stage that writes the table of signals from what was found while images were fetched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar, Self

import pyarrow as pa

from curation.core.sql import literal
from curation.core.stage import Resources, Shard, Work, setting
from curation.core.verdict import Annotation, Annotations
from curation.signals.headers import LAST_MODIFIED, LICENCE_LINK
from curation.signals.policy import HONOURED, Policy
from curation.signals.robots import RSL
from curation.signals.sign import unpacked
from schemas.arrays import strings
from schemas.arrow import Record, table_of
from schemas.recipe import Download
from schemas.records import ImageRow
from schemas.signals import SignalRow, Signals

# The key of a sample's .json, and the signals that state it, the best first. Exif's names are counted, never exported.
_STATED = {
    "license_url": (LICENCE_LINK, "cc:license", "xmpRights:WebStatement", RSL),
    "attribution": ("photoshop:Credit", "iptc:Credit", "dc:creator", "iptc:By-line"),
    "copyright_notice": ("dc:rights", "iptc:CopyrightNotice", "png:Copyright"),
    "last_modified": (LAST_MODIFIED,),
}


def _first(signals: Sequence[str]) -> str:
    of_each = ", ".join(f"min(verbatim) FILTER (what = {literal(what)})" for what in signals)
    return f"coalesce({of_each})"


_COLUMNS = ", ".join(f"{_first(signals)} AS {name}" for name, signals in _STATED.items())
_RIGHTS = f"(SELECT sample_id, {_COLUMNS} FROM {SignalRow.table} WHERE verdict <> 'unknown' GROUP BY sample_id)"  # noqa: S608


@dataclass(frozen=True)
class SignalsStage:
    """A row for each opt-out, licence and note on rights that was found of an image, fetched or not.

    Nothing is asked for: the download keeps what it saw. In a root whose images were fetched without looking for
    signals there are none.
    """

    name: ClassVar[str] = "signals"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[type[Record], ...]] = (ImageRow,)
    writes: ClassVar[type[Record]] = SignalRow

    policy: Policy
    export: bool = setting(True, digest=False)  # what is in a sample's .json is packing's affair
    on: bool = setting(True, digest=False)
    resources: Resources = setting(Resources(workers=1), digest=False)  # it only copies

    @classmethod
    def of_recipe(cls, download: Download, signals: Signals | None) -> Self:
        return cls(Policy.of_recipe(download, signals), signals is not None and signals.export, on=signals is not None)

    @property
    def annotations(self) -> Annotations:
        text = pa.string()
        keys = tuple(Annotation(name, f"a.{name}", text) for name in _STATED) if self.export else ()
        return Annotations(_RIGHTS, (SignalRow,), keys)

    @contextmanager
    def open(self) -> Iterator[Work]:
        yield self._table

    def _table(self, shard: Shard) -> pa.Table:
        from curation.fetch.process_row import signals_file  # brings OpenCV

        images = shard.store.read_table(ImageRow, shard.name, ["sample_id", "reason"])
        reasons = dict(zip(strings(images["sample_id"]), images["reason"].to_pylist(), strict=True))
        shard.rows_in = len(reasons)
        entry, name = shard.store.entry(ImageRow.table, shard.name), signals_file(shard.name)
        if entry is None or name not in entry.writes:
            return table_of(SignalRow, [])
        kept = shard.store.read_parquet(name)
        found = dict(zip(strings(kept["sample_id"]), kept["signs"].to_pylist(), strict=True))
        rows = (
            row
            for sample, reason in reasons.items()
            if (signs := found.get(sample)) is not None
            for row in self._rows(sample, reason, signs)
        )
        return table_of(SignalRow, list(rows))

    def _rows(self, sample: str, reason: str | None, signs: bytes) -> Iterator[SignalRow]:
        for sign in unpacked(signs):
            honoured = reason in HONOURED and self.policy.against([sign]) is not None
            yield SignalRow(
                sample, sign.what, sign.place, sign.host or None, sign.verbatim, sign.verdict, honoured=honoured
            )

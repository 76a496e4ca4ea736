"""Keeps a share of the samples that name what very many others name; table ``balanced_texts``."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from curation.caption.entries import Entries, Found
from curation.core.run import Step, parts_of
from curation.core.sql import literal
from curation.core.stage import Reduction, setting
from curation.core.store import Store
from curation.core.verdict import Decides, Verdict
from curation.release.views.groups import gather, root_database
from schemas.arrays import Array, Values, strings, whole
from schemas.arrow import Record, schema_of
from schemas.balance import ALT_TEXT, Balance, BalancedText
from schemas.captions import CaptionCheck, VerifiedCaption
from schemas.reasons import Reason
from schemas.records import Duplicate, SourceRow

if TYPE_CHECKING:
    from collections.abc import Callable

_FREQUENT, _NONE = Reason.FREQUENT_CONCEPTS.value, Reason.NO_CONCEPT.value
_TEXTS = """
SELECT v.source_shard AS shard, v.sample_id, {text} AS text FROM verdicts v{join} WHERE v.through
"""
_OF_SHARD = "SELECT sample_id, text FROM texts WHERE shard = $shard ORDER BY sample_id"
_CAPTIONS = """ LEFT JOIN (
    SELECT sample_id, coalesce(x.caption, k.caption) AS text
    FROM caption_checks k LEFT JOIN verified_captions x USING (sample_id, kind)
    WHERE kind = {kind} AND k.passed AND coalesce(x.passed, true)
) c USING (sample_id)"""
_STEP = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class BalanceReduce:
    """Keeps about a set number of the texts that name an entry of a list, and all texts of rarer entries.

    After MetaCLIP (Xu et al., arXiv 2309.16671): an entry found in more texts keeps each of them with the probability
    ``max_texts`` over their number, and a sample stays if any entry in its text keeps it. Entries are found as whole
    words, without regard to capitals. Chance is a hash of seed, sample and entry: it is the same in every run and
    order, and a root that grew keeps what a root made at once of all its rows keeps. So growth takes out samples of
    entries that have become more frequent, and no sample comes back by it.

    Counted are the samples that passed all steps before: of alt texts those are known before any caption is made.
    """

    name: ClassVar[str] = "balance"
    version: ClassVar[int] = 1
    writes: ClassVar[type[Record]] = BalancedText

    max_texts: int
    text: str
    unmatched: str
    seed: int
    listed: str = ""  # the digest of the list
    policy: str = setting("ignore", digest=False)  # the table is the same whatever is done about it
    path: str = setting("", digest=False)
    entries: Entries | None = setting(None, digest=False)
    before: tuple[Step, ...] = setting((), digest=False)
    verified: bool = setting(False, digest=False)  # ``reads`` is in the digest

    @classmethod
    def of(cls, recipe: Balance, before: Sequence[Step], *, verified: bool = False) -> Self:
        """What a recipe asks for; ``before`` are the steps whose samples are counted."""
        return cls(
            *(recipe.max_texts, recipe.text, recipe.unmatched, recipe.seed),
            policy=recipe.policy,
            path=recipe.entries,
            before=tuple(before),
            verified=verified,
        )

    @property
    def on(self) -> bool:
        return self.policy != "ignore"

    @property
    def rejects(self) -> bool:
        """Whether samples beyond the limit are rejected."""
        return self.policy == "reject"

    @property
    def early(self) -> bool:
        """Whether the text is known before captions are made."""
        return self.text == ALT_TEXT

    @property
    def reads(self) -> tuple[type[Record], ...]:
        captions = () if self.early else (CaptionCheck, *((VerifiedCaption,) if self.verified else ()))
        found = (record for verdict in self._verdicts() for record in verdict.reads)
        return tuple(dict.fromkeys((SourceRow, Duplicate, *captions, *found)))

    @property
    def beside(self) -> tuple[type[Record], ...]:
        return tuple(dict.fromkeys(record for verdict in self._verdicts() for record in verdict.beside))

    def _verdicts(self) -> Iterator[Verdict]:
        return (part.verdict for part in parts_of(self.before) if isinstance(part, Decides))

    @property
    def verdict(self) -> Verdict:
        lost = {
            _FREQUENT: "more texts name the same things than balance.max_texts, and chance kept others",
            _NONE: "the text names no entry of balance.entries",
        }
        if not self.rejects:  # packing does not depend on the table
            return Verdict(BalancedText.table, (), lost, waiting="false")
        return Verdict.each(BalancedText, lost)

    def ready(self, store: Store | None) -> Self:
        """With the list of entries. Raises ``RecipeError`` for one that cannot be read."""
        entries = self._read()
        return replace(self, entries=entries, listed=entries.digest)

    def _read(self) -> Entries:
        return Entries.read(self.path, "balance.entries") if self.path else Entries.nouns()

    def run(self, store: Store, previous: dict[str, Any]) -> Reduction:
        return Reduction(self._shards(store))

    def _shards(self, store: Store) -> Iterator[tuple[str, pa.Table]]:
        """One for each shard of images, so that later stages find the shard where none of its samples is counted."""
        entries = self.entries or self._read()
        find = entries.matcher()
        shards = sorted(store.entries(Duplicate.table).keys() & store.entries(SourceRow.table).keys())
        with (
            root_database(store, "count what the texts name", self.before) as database,
            tempfile.TemporaryDirectory(prefix="lapidary-") as folder,
        ):
            join = "" if self.early else _CAPTIONS.format(kind=literal(self.text))
            texts = _TEXTS.format(text="v.alt_text" if self.early else "c.text", join=join)
            gather(database, store, self.before, "texts", texts)
            counts = np.zeros(len(entries.names), np.int64)
            for number, shard in enumerate(shards):
                offsets, found = find(_of_shard(database, shard)["text"])
                counts += np.bincount(found, minlength=len(counts))
                np.savez(Path(folder) / f"{number}.npz", offsets=offsets, found=found)
            keeps = keeping(counts, entries.hashes(self.seed), self.max_texts)
            names = pa.array(entries.names, pa.string())
            for number, shard in enumerate(shards):
                with np.load(Path(folder) / f"{number}.npz") as saved:
                    matched = (saved["offsets"], saved["found"])
                ids = _of_shard(database, shard)["sample_id"]
                yield shard, self._judged(ids, matched, keeps(ids, matched), names, counts)

    def _judged(
        self, ids: Values, matched: Found, kept: NDArray[np.bool_], names: Array, counts: NDArray[np.int64]
    ) -> pa.Table:
        offsets, found = matched
        none = np.diff(offsets) == 0
        reasons: list[str | None] = [None] * len(none)
        details: list[str | None] = [None] * len(none)
        for row in np.flatnonzero(~kept & ~none):
            own = found[offsets[row] : offsets[row + 1]]
            rarest = names[int(own[np.argmin(counts[own])])]
            reasons[row] = _FREQUENT
            details[row] = f"{rarest} is the rarest of {len(own)} entries, and in more than {self.max_texts} texts"
        for row in np.flatnonzero(none if self.unmatched == "reject" else []):
            reasons[row], details[row] = _NONE, "no entry of the list is in the text"
        columns = [
            whole(ids),
            pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), names.take(pa.array(found, pa.int32()))),
            pa.array(reasons, pa.string()),
            pa.array(details, pa.string()),
        ]
        return pa.Table.from_arrays(columns, schema=schema_of(BalancedText))


def _of_shard(database: duckdb.DuckDBPyConnection, shard: str) -> pa.Table:
    table: pa.Table = database.sql(_OF_SHARD, params={"shard": shard}).to_arrow_table()
    return table


def keeping(
    counts: NDArray[np.int64], hashes: NDArray[np.uint64], most: int
) -> Callable[[Values, Found], NDArray[np.bool_]]:
    """What says of samples whether an entry in their text keeps them."""
    kept = most / np.maximum(counts, most)

    def keeps(ids: Values, matched: Found) -> NDArray[np.bool_]:
        offsets, found = matched
        sizes = np.diff(offsets)
        samples = np.frombuffer(bytes.fromhex("".join(i[:16] for i in strings(ids))), ">u8").astype(np.uint64)
        # 53 bits, which a float holds exactly: below 1, so that what keeps all loses none.
        chance = (_mixed(np.repeat(samples, sizes) ^ hashes[found]) >> np.uint64(11)) / 2.0**53
        stays = np.zeros(len(sizes), np.bool_)
        np.logical_or.at(stays, np.repeat(np.arange(len(sizes)), sizes), chance < kept[found])
        return stays

    return keeps


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Uniform hashes: the mixing function of SplitMix64 (Steele, Lea and Flood 2014)."""
    values = values + _STEP
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))

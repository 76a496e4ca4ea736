"""Counts of kept and removed images by data set, and a list of every removed image."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from curation.core.printable import plural
from curation.core.store import Store
from curation.dedupe.search.bands import chance_pairs
from schemas.arrow import columns, rows_of
from schemas.duplicates import Verdict
from schemas.recipe import Dedupe

REMOVED = "report/removed.csv"


@dataclass(frozen=True)
class Counts:
    """Number of images by data set and reason; the reason of kept images is empty."""

    of: dict[tuple[str, str], int]

    def images(self, data_set: str | None = None) -> int:
        """The number of all images, or of one data set."""
        return sum(count for (name, _), count in self.of.items() if data_set in (None, name))

    def kept(self, data_set: str) -> int:
        return self.of.get((data_set, ""), 0)


def write_removed(store: Store) -> Counts:
    """Writes ``report/removed.csv``, one line for each removed image with its keeper; returns the counts."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = [c.name for c in columns(Verdict) if c.name != "cluster_id"]
    writer.writerow(names)
    found: Counter[tuple[str, str]] = Counter()
    for shard in store.shards(Verdict.table):
        for verdict in verdicts_of(store, shard):
            found[verdict.dataset, verdict.reason or ""] += 1
            if verdict.reason is not None:
                writer.writerow([getattr(verdict, name) for name in names])
    store.write(REMOVED, out.getvalue().encode())
    return Counts(dict(found))


def verdicts_of(store: Store, shard: str) -> Iterator[Verdict]:
    """The verdicts of a shard."""
    table = store.read_table(Verdict, shard)
    for name, known in (("item", "sample_id"), ("keeper_item", "keeper_id")):
        if name not in table.column_names:  # written before this column existed
            table = table.append_column(name, table.column(known))
    return rows_of(Verdict, table)


def chance(images: int, dedupe: Dedupe) -> str:
    """How many pairs of so many different images are expected to be near by chance alone, as a sentence."""
    pairs = images * (images - 1) / 2
    within = dedupe.distance
    expected = (
        f"about {chance_pairs(pairs, within):.2g} pairs of different images look alike by chance at that distance"
    )
    if dedupe.confirmed_distance > within:
        within = dedupe.confirmed_distance
        expected = (
            f"about {chance_pairs(pairs, within):.2g} pairs of different images come that near by chance; each needs "
            f"confirmation by the 256-bit hash, which may differ in at most {dedupe.second_distance} of 256 bits"
        )
    return f"{plural(images, 'image')} within {within} of 64 bits: {expected}"

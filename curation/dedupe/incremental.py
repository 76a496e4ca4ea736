"""Decides on the new shards of a root, and reuses the decisions of earlier runs.

Shards that the last finished run decided on keep their decisions byte for byte, and are not read again, as long as
their images are the same. Images of new shards are looked up in the root's index (``earlier``), and decided on
together with the earlier images that are near one of them: no other image can change a decision. If the images of an
old shard have changed, or the shard is gone, its keepers cannot be relied on, and all shards are decided anew; then an
image that has been released comes before all others, so that it keeps its place. Within one run the decisions depend on
the set of images only, not on their order.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.core.stage import Reduction
from curation.core.store import Store, untouched
from curation.dedupe.blocks import Blocks
from curation.dedupe.decide import decide, rule_for
from curation.dedupe.earlier import Earlier
from curation.dedupe.gather import identities, parts_of
from curation.dedupe.search.memory import at_once
from curation.dedupe.search.rule import with_looks
from curation.dedupe.thumbnail_file import ThumbnailFile
from schemas.arrays import Values, strings, whole
from schemas.arrow import Record, conform
from schemas.recipe import Dedupe
from schemas.records import Colours, CropHash, Duplicate, ImageRow, Placement, Thumbnail

_PLACED = 1 << 20  # released samples looked at together


@dataclass(frozen=True)
class RootDecisions:
    """Decisions on the images of one root.

    ``judged_before`` are records of earlier stages, with a reason for each image that they reject, such as
    ``evaluation_overlaps``: such images are removed first; they are not keepers, and no other image is removed because
    of them. A shard that one of these stages has not judged yet is left out.
    """

    store: Store
    recipe: Dedupe
    judged_before: tuple[type[Record], ...] = ()

    def reduction(self, previous: dict[str, Any]) -> Reduction:
        """``previous`` and the new state are {"decided": {shard: sha256 of its inputs}, "linked": names}.

        ``linked`` maps names of clusters that later images joined into one cluster to the lowest of their names.
        Where the recipe removes no duplicates, all shards are decided anew in every run: an image that joins two
        clusters is kept, and so are the images near it.
        """
        state = previous if self.recipe.enabled else {}
        present = self._present()
        old = _unchanged(self.store, present, self._present(thumbnails=False), state.get("decided", {}))
        linked: dict[str, str] = dict(state.get("linked", {})) if old else {}
        anew = bool(state.get("decided")) and not old
        shards = self._decided(present, old, linked, anew)
        return Reduction(shards, lambda: {"decided": present, "linked": linked}, old)

    def _decided(
        self, present: dict[str, str], old: Collection[str], linked: dict[str, str], anew: bool
    ) -> Iterator[tuple[str, pa.Table]]:
        young = [shard for shard in present if shard not in old]
        if not young:
            return
        store, crops = self.store, self.recipe.crops
        file = ThumbnailFile(store)
        rows = at_once(store.entries(ImageRow.table).totals(young)[1], crops=crops)
        blocks = Blocks(file, rows, partial(_released_first, store)) if anew else Blocks(file, rows)
        read = parts_of(store, young, file, crops=crops)
        kept = list(read) if rows is None else None
        blocks.add((shard, self._without_ruled_out(shard, part)) for shard, part in kept or read)
        earlier = Earlier.of(store, _decided_shards(store, present, old), file, crops=crops)
        # If no new image has a look, none are compared: an image without one agrees with all.
        rule = with_looks(rule_for(self.recipe), blocks.look_words)
        near, new = earlier.near(blocks, rule), len(blocks.tables)
        if near.num_rows:
            blocks.add([("", _renamed(near, linked))])
        decisions = decide(blocks, rule, removes=self.recipe.enabled)
        for block in range(new):
            table = conform(Duplicate, decisions.table(block))
            for shard, start, size in blocks.shards_of(block):
                yield shard, self._with_ruled_out(shard, table.slice(start, size))
        if near.num_rows:
            _link(linked, blocks.tables[new], decisions.table(new))
        del blocks, near, decisions  # they take as much again as what is done with ``kept``
        earlier.add(_decided_shards(store, present, young), kept)

    def _present(self, *, thumbnails: bool = True) -> dict[str, str]:
        """The shards that can be decided on, each with the sha256 of the tables that its decisions depend on.

        Without ``thumbnails``, as they were recorded before a root had any.
        """
        found = _shas(self.store, ImageRow)
        beside = [_shas(self.store, ImageRow, Colours)]
        if thumbnails:
            beside.append(_shas(self.store, Thumbnail) | _shas(self.store, ImageRow, Thumbnail))
        for looks in beside:
            found = {shard: f"{sha} {looks[shard]}" if shard in looks else sha for shard, sha in found.items()}
        further: list[type[Record]] = [*([CropHash] if self.recipe.crops else []), *self.judged_before]
        for record in further:
            more = _shas(self.store, record)
            found = {shard: f"{sha} {more[shard]}" for shard, sha in found.items() if shard in more}
        return found

    def _without_ruled_out(self, shard: str, images: pa.Table) -> pa.Table:
        """The images of a shard that no earlier stage rejected."""
        if not self.judged_before:
            return images
        gone = self._ruled_out(shard).column("sample_id").cast(pa.large_string())
        return images.filter(pc.invert(pc.is_in(images.column("sample_id"), value_set=gone)))

    def _with_ruled_out(self, shard: str, decisions: pa.Table) -> pa.Table:
        """Adds the images that an earlier stage rejected to the decisions on the others."""
        if not self.judged_before:
            return decisions
        gone = self._ruled_out(shard)
        ids, n = gone.column("sample_id"), gone.num_rows
        own: dict[str, Values] = {
            "sample_id": ids,
            "reason": gone.column("reason"),
            "keeper_id": ids,
            "cluster_id": ids,
            "distance": pa.array(np.zeros(n, np.int32)),
            "second_distance": pa.nulls(n, pa.int32()),
        }
        others = decisions.filter(pc.invert(pc.is_in(decisions.column("sample_id"), value_set=ids)))
        whole = pa.concat_tables([others, conform(Duplicate, pa.Table.from_pydict(own))])
        return whole.take(pc.index_in(identities(self.store, shard), value_set=whole.column("sample_id")))

    def _ruled_out(self, shard: str) -> pa.Table:
        """The images of a shard that an earlier stage rejected, with the reason of the first one that did."""
        found: pa.Table | None = None
        for record in self.judged_before:
            own = self.store.read_table(record, shard, ["sample_id", "reason"]).filter(~pc.field("reason").is_null())
            if found is not None:
                own = own.filter(pc.invert(pc.is_in(own["sample_id"], value_set=found["sample_id"].combine_chunks())))
            found = own if found is None else pa.concat_tables([found, own])
        assert found is not None
        return found


def _unchanged(store: Store, present: dict[str, str], former: dict[str, str], decided: dict[str, str]) -> set[str]:
    """The shards whose decisions stay valid: all decided shards, or none.

    Thumbnails that were added to a shard after it had been decided on change nothing.
    """
    last, entries = store.reduce_entry(Duplicate.table), store.entries(Duplicate.table)
    same = all(sha in (present.get(shard), former.get(shard)) for shard, sha in decided.items())
    return set(decided) if same and decided.keys() <= untouched(last, entries) else set()


def _shas(store: Store, record: type[Record], beside: type[Record] | None = None) -> dict[str, str]:
    """The sha256 of each shard of a table, or of the table published ``beside`` it; shards without one are left out."""
    entries = sorted(store.entries(record.table).items())
    files = ((shard, entry, store.table_file((beside or record).table, shard)) for shard, entry in entries)
    return {shard: entry.writes[file] for shard, entry, file in files if file in entry.writes}


def _decided_shards(store: Store, present: dict[str, str], shards: Collection[str]) -> dict[str, tuple[str, str]]:
    entries = store.entries(Duplicate.table)
    return {s: (present[s], entries[s].writes[store.table_file(Duplicate.table, s)]) for s in shards}


def _released_first(store: Store, images: pa.Table) -> pa.Table:
    """The images with ``first``: those that stand in the release as they are come before all others."""
    ids, shas = whole(images.column("sample_id")), whole(images.column("sha256"))
    others = np.ones(images.num_rows, np.int64)
    for placed in _placements(store):
        known, told = (whole(placed.column(name).cast(pa.large_string())) for name in ("sample_id", "sha256"))
        others[pc.equal(told.take(pc.index_in(ids, value_set=known)), shas).fill_null(False).to_numpy(False)] = 0
    return images.append_column("first", pa.array(others))


def _placements(store: Store) -> Iterator[pa.Table]:
    """What stands in the release, some shards at a time."""
    group: list[pa.Table] = []
    for shard in store.shards(Placement.table):
        group.append(store.read_table(Placement, shard, ["sample_id", "sha256"]))
        if sum(table.num_rows for table in group) >= _PLACED:
            yield pa.concat_tables(group)
            group = []
    if group:
        yield pa.concat_tables(group)


def _renamed(images: pa.Table, linked: dict[str, str]) -> pa.Table:
    """Replaces the cluster name of each image by the lowest name of the joined cluster."""
    names = [linked.get(name, name) for name in strings(images.column("cluster"))]
    return images.set_column(images.column_names.index("cluster"), "cluster", pa.array(names, pa.large_string()))


def _link(linked: dict[str, str], earlier: pa.Table, decisions: pa.Table) -> None:
    """Records which earlier clusters the new images have joined: those of earlier images, and what they are now."""
    named, found = strings(earlier.column("cluster")), strings(decisions.column("cluster_id"))
    lower = {name: lowest for name, lowest in zip(named, found, strict=True) if name != lowest}
    linked.update({name: lower.get(lowest, lowest) for name, lowest in linked.items()} | lower)

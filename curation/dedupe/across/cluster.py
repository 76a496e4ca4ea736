"""An HTML page of one image's cluster: the keeper, the removed images, their distances and pictures."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterator
from dataclasses import dataclass

from curation.core.errors import LapidaryError, UsageError
from curation.core.invocation import command_of
from curation.core.store import Store
from curation.dedupe.across.datasets import DataSet, Pixels, open_data_set
from curation.dedupe.across.removed import verdicts_of
from schemas.arrow import rows_of
from schemas.duplicates import Verdict
from schemas.records import Duplicate, Overlap

MOST = 60  # pictures on a page; a placeholder has thousands of copies
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color: #222 }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin-top: 2rem }
.pair, .others { display: grid; gap: 1rem; grid-template-columns: 1fr 1fr }
.others { grid-template-columns: repeat(auto-fill, minmax(13rem, 1fr)) }
figure { margin: 0; border: 1px solid #ccc; border-radius: 6px; padding: .6rem }
img { width: 100%; max-height: 26rem; object-fit: contain; background: #f3f3f3 }
.others img { max-height: 11rem }
figcaption { overflow-wrap: anywhere; font-size: .85rem } b { font-size: 1rem }
"""


@dataclass(frozen=True)
class Members:
    """The decisions on all images of a sample's cluster: the sample's own first, then its keeper's."""

    root: str
    verdicts: list[Verdict]

    @property
    def sample(self) -> Verdict:
        return self.verdicts[0]


def members(root: str, sample_id: str) -> Members:
    """The cluster of a sample in a root of ours, or in what ``flows.dedupe`` made of several.

    In the second case ``sample_id`` may be an item, as in ``Verdict``; of items that share an id, a removed one is
    shown. Raises ``UsageError`` for a root without decisions or without this sample.
    """
    store = Store(root)
    table = next((t for t in (Verdict.table, Duplicate.table) if store.shards(t)), None)
    if table is None:
        raise UsageError(f"{root} holds no decisions on duplicates; run {command_of('flows.dedupe')} first")
    known = [v for shard in store.shards(table) for v in _verdicts(store, root, table, shard)]
    named = [v for v in known if v.item == sample_id] or [v for v in known if v.sample_id == sample_id]
    if not named:
        raise UsageError(f"{root} knows no image {sample_id!r}; sample_ids have 32 hex digits, see table {table}")
    own = next((v for v in named if v.reason is not None), named[0])
    kept = [v for v in known if _is_keeper(v, own) and v != own]
    others = [v for v in known if v.cluster_id == own.cluster_id is not None and v != own and v not in kept]
    return Members(root, [own, *kept, *sorted(others, key=lambda v: (v.distance or 0, v.dataset, v.item))])


def _verdicts(store: Store, root: str, table: str, shard: str) -> Iterator[Verdict]:
    if table == Verdict.table:
        yield from verdicts_of(store, shard)
        return
    seen = {}
    if shard in store.shards(Overlap.table):
        seen = {o.sample_id: o for o in rows_of(Overlap, store.read_table(Overlap, shard)) if o.reason is not None}
    for d in rows_of(Duplicate, store.read_table(Duplicate, shard)):
        o = seen.get(d.sample_id)
        if o is None or o.reason != d.reason or o.dataset is None or o.item_id is None:
            own = (root, d.keeper_id, d.keeper_id, d.distance, d.second_distance, d.cluster_id)
            yield Verdict(root, d.sample_id, d.sample_id, d.reason, *own, None)
        else:
            item = (o.dataset, None, o.item_id, o.distance, o.second_distance, None)
            yield Verdict(root, d.sample_id, d.sample_id, o.reason, *item, o.detail)


def _is_keeper(verdict: Verdict, own: Verdict) -> bool:
    return (verdict.dataset, verdict.item) == (own.keeper_dataset, own.keeper_item)


def page(found: Members) -> str:
    """The whole page, with the pictures embedded. Texts are untrusted and escaped."""
    pictures = _Pictures(found.root)
    own = found.sample
    stays = own.reason is None
    names = (own.keeper_item or own.keeper_id, own.keeper_id)
    keeper = Verdict(own.keeper_dataset, *names, None, own.keeper_dataset, *names, 0, 0, None, None)
    verdict = "It is kept." if stays else f"It is removed: {html.escape(own.reason or '')}. {_apart(own)}"
    shown, rest = found.verdicts[: MOST + 1], len(found.verdicts) - MOST - 1
    others = [v for v in shown[1:] if stays or not _is_keeper(v, own)]
    parts = [
        f"<!DOCTYPE html><html lang=en><meta charset=utf-8><title>{html.escape(own.sample_id)}</title>",
        f"<style>{_STYLE}</style><h1>{html.escape(own.sample_id)}</h1><p>{verdict}</p><div class=pair>",
        pictures.figure(own, "this image"),
        "" if stays else pictures.figure(keeper, _role(own)),
        "</div>",
    ]
    if others:
        parts.append(f"<h2>Others of its cluster ({len(found.verdicts) - 1 - (not stays)})</h2><div class=others>")
        parts += [pictures.figure(v, "kept" if v.reason is None else v.reason) for v in others]
        parts.append("</div>")
    if rest > 0:
        parts.append(f"<p>{rest:,} more are not shown.</p>")
    return "\n".join([*parts, "</html>", ""])


def _role(own: Verdict) -> str:
    return "kept in its place" if own.cluster_id is not None else "evaluation item"


def _apart(verdict: Verdict) -> str:
    if verdict.distance is None:
        return f"Words in common: {html.escape(verdict.detail or '')}"
    second = "" if verdict.second_distance is None else f", {verdict.second_distance} of 256 bits in the second look"
    return f"{verdict.distance} of 64 bits apart{second}."


class _Pictures:
    """Finds pictures and texts in the data sets that a root refers to."""

    def __init__(self, root: str) -> None:
        self._workplace = Store(root)
        self._data_sets: dict[str, DataSet] = {}

    def figure(self, verdict: Verdict, role: str) -> str:
        seen = self._find(verdict) or Pixels(None, None, None, None)
        # Browsers detect the format from the bytes, whatever the media type says.
        shown = (
            f'<img alt="" src="data:image/jpeg;base64,{base64.b64encode(seen.data).decode()}">'
            if seen.data
            else "<p>no picture</p>"
        )
        size = f"{seen.width} × {seen.height} px, " if seen.width else ""
        item = "" if verdict.item == verdict.sample_id else f"{html.escape(verdict.item)}<br>"
        apart = "" if verdict.reason is None else f"<br>{_apart(verdict)}"
        return (
            f"<figure>{shown}<figcaption><b>{html.escape(role)}</b><br>{size}{html.escape(verdict.sample_id)}<br>{item}"
            f"{html.escape(verdict.dataset)}{apart}<br>{html.escape((seen.text or '')[:300])}</figcaption></figure>"
        )

    def _find(self, verdict: Verdict) -> Pixels | None:
        """None if the data set has moved or is damaged: the decision is shown without a picture."""
        try:
            if verdict.dataset not in self._data_sets:
                self._data_sets[verdict.dataset] = open_data_set(verdict.dataset, self._workplace)
            return self._data_sets[verdict.dataset].find(verdict.sample_id)
        except LapidaryError:
            return None

"""Decides on images held in memory: the keeper, the cluster and the reason of each."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from curation.dedupe.clusters import components, lowest
from curation.dedupe.gather import Images
from curation.dedupe.keep import Kept, PriorDecision, all_kept, keepers
from curation.dedupe.search.colours import COLOUR_WORDS
from curation.dedupe.search.distinct import Distinct
from curation.dedupe.search.kernels import Index
from curation.dedupe.search.rule import Rule, confirmed, rule_of, screening
from curation.images.windows import WINDOWS
from schemas.arrays import Array
from schemas.reasons import Reason
from schemas.recipe import Dedupe

_BATCH = 1 << 16  # images whose thumbnails are in memory together, unless more may all be near


def rule_for(recipe: Dedupe) -> Rule:
    """The rule by which the recipe's settings call two images near."""
    views = 1 + len(WINDOWS) if recipe.crops else 1
    return confirmed(
        recipe.distance,
        recipe.confirmed_distance,
        recipe.second_distance,
        symmetries=recipe.symmetries,
        views=views,
        grey=recipe.grey_copies,
    )


def decide(
    images: Images, distance: int | Rule, rank: NDArray[np.int64] | None = None, *, removes: bool = True
) -> pa.Table:
    """The columns of ``Duplicate`` for all images; ignore the rows of images decided before.

    ``rank`` replaces the images' own priority; 0 is the highest. Column ``keeper`` holds the index of each keeper.
    Without ``removes`` every image is its own keeper, and only the clusters show which images are near.
    """
    rule = rule_of(distance)
    priority = images.rank() if rank is None else rank
    if rule.colours <= COLOUR_WORDS:
        every = np.arange(len(images.ids))
        label, kept = _decided(images, every, Distinct.of(images.rows(rule)), rule, priority, removes)
    else:
        label, kept = _screened(images, rule, priority, removes)
    return pa.table(
        {
            "sample_id": images.ids,
            "reason": _reasons(images, kept),
            "keeper_id": images.ids.take(kept.keeper),
            "distance": pa.array(kept.distance.astype(np.int32)),
            "cluster_id": _cluster_ids(images, label),
            "second_distance": pa.array(kept.second, mask=kept.second < 0),
            "keeper": pa.array(kept.keeper),
        }
    )


def _screened(images: Images, rule: Rule, priority: NDArray[np.int64], removes: bool) -> tuple[NDArray[np.int64], Kept]:
    """``_decided`` for all images; the thumbnails of few of them are in memory at a time.

    Hashes and colours say which images may be near, and chains of those fall into components. What is near lies in
    one component, so that components are decided one after the other, some together.
    """
    n = len(images.ids)
    label = np.arange(n)
    known = images.hashes[:, 1:].any(axis=1)
    kept = Kept(np.arange(n), np.zeros(n, np.int64), np.where(known, 0, -1))
    for places in _batches(_screen(images, screening(rule))):
        distinct = Distinct.of(images.rows(rule, places))
        label[places], one = _decided(images, places, distinct, rule, priority[places], removes)
        kept.keeper[places], kept.distance[places], kept.second[places] = places[one.keeper], one.distance, one.second
    return label, kept


def _screen(images: Images, rule: Rule) -> Index:
    """For each image the component of images that may be near each other."""
    distinct = Distinct.of(images.rows(rule))
    return _components(images, np.arange(len(images.ids)), distinct, rule)[distinct.row]


def _batches(component: Index) -> Iterator[NDArray[np.int64]]:
    """The places of all components that have several images; each is whole in one batch."""
    order = np.argsort(component, kind="stable")
    sizes = np.bincount(component, minlength=1)
    order = order[sizes[component[order]] > 1]
    ends = np.cumsum(sizes[sizes > 1])
    start = 0
    while start < len(order):
        stop = int(ends[max(np.searchsorted(ends, start + _BATCH, "right") - 1, np.searchsorted(ends, start, "right"))])
        yield order[start:stop]
        start = stop


def _decided(
    images: Images,
    places: NDArray[np.int64],
    distinct: Distinct,
    rule: Rule,
    priority: NDArray[np.int64],
    removes: bool,
) -> tuple[NDArray[np.int64], Kept]:
    """Decides on these images as if there were no others: for each a place that names its component, and its keeper.

    ``distinct`` are the rows of the images, ``priority`` is that of each; the lowest number comes first. Keepers are
    indices of ``places``.
    """
    component = _components(images, places, distinct, rule)
    label = places[distinct.first[component[distinct.row]]]
    if not removes:
        return label, all_kept(distinct, rule)
    rank = np.empty(len(places), np.int64)
    rank[np.argsort(priority)] = np.arange(len(places))
    return label, keepers(distinct, rank, rule, prior=_prior(images)[places], component=component)


def _prior(images: Images) -> NDArray[np.uint8]:
    decided = np.where(images.keeper, np.uint8(PriorDecision.KEEPER), np.uint8(PriorDecision.REMOVED))
    return np.where(images.new, np.uint8(PriorDecision.OPEN), decided)


def _components(images: Images, places: NDArray[np.int64], distinct: Distinct, rule: Rule) -> Index:
    """Components of rows; images decided before are linked when their cluster names are equal.

    ``distinct`` are the rows of the images at ``places``.
    """
    fresh = images.new[places]
    if fresh.all():
        return components(distinct.rows, rule)
    new = np.zeros(len(distinct.rows), np.bool_)
    new[distinct.row[fresh]] = True
    old = np.flatnonzero(~fresh)
    _, first, name = np.unique(
        images.cluster.take(places[old]).dictionary_encode().indices.to_numpy(),
        return_index=True,
        return_inverse=True,
    )
    row = distinct.row[old]
    return components(distinct.rows, rule, new=new, known=(row, row[first][name]))


def _reasons(images: Images, kept: Kept) -> Array:
    exact = images.sha == images.sha[kept.keeper]
    own = kept.keeper == np.arange(len(exact))
    reasons = np.where(exact, Reason.EXACT_DUPLICATE.value, Reason.NEAR_DUPLICATE.value)
    return pa.array(reasons, pa.string(), mask=own)


def _cluster_ids(images: Images, label: NDArray[np.int64]) -> Array:
    """For each label the lowest earlier cluster name, or the lowest sample_id if no image has an earlier name."""
    names: Array = pc.if_else(pa.array(images.new), images.ids, images.cluster)
    order = pc.sort_indices(names).to_numpy()
    n = len(order)
    rank = np.empty(n, np.int64)
    rank[order] = np.arange(n)
    rank[images.new] += n
    best = lowest(label, rank)
    return names.take(order[best % n] if n else best)

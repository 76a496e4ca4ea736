"""Decides on images held in memory: the keeper, the cluster and the reason of each."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from curation.dedupe.clusters import components, lowest
from curation.dedupe.gather import Images
from curation.dedupe.keep import Kept, PriorDecision, all_kept, keepers
from curation.dedupe.search.distinct import Distinct
from curation.dedupe.search.kernels import Index
from curation.dedupe.search.rule import Rule, confirmed, rule_of
from curation.images.windows import WINDOWS
from schemas.arrays import Array
from schemas.reasons import Reason
from schemas.recipe import Dedupe


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
    distinct = Distinct.of(images.rows(rule))
    component = _components(images, distinct, rule)
    if removes:
        priority = images.rank() if rank is None else rank
        kept = keepers(distinct, priority, rule, prior=_prior(images), component=component)
    else:
        kept = all_kept(distinct, rule)
    return pa.table(
        {
            "sample_id": images.ids,
            "reason": _reasons(images, kept),
            "keeper_id": images.ids.take(kept.keeper),
            "distance": pa.array(kept.distance.astype(np.int32)),
            "cluster_id": _cluster_ids(images, component[distinct.row]),
            "second_distance": pa.array(kept.second, mask=kept.second < 0),
            "keeper": pa.array(kept.keeper),
        }
    )


def _prior(images: Images) -> NDArray[np.uint8]:
    decided = np.where(images.keeper, np.uint8(PriorDecision.KEEPER), np.uint8(PriorDecision.REMOVED))
    return np.where(images.new, np.uint8(PriorDecision.OPEN), decided)


def _components(images: Images, distinct: Distinct, rule: Rule) -> Index:
    """Components of rows; images decided before are linked when their cluster names are equal."""
    if images.new.all():
        return components(distinct.rows, rule)
    new = np.zeros(len(distinct.rows), np.bool_)
    new[distinct.row[images.new]] = True
    old = np.flatnonzero(~images.new)
    _, first, name = np.unique(
        images.cluster.take(old).dictionary_encode().indices.to_numpy(),
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


def _cluster_ids(images: Images, label: Index) -> Array:
    """For each label the lowest earlier cluster name, or the lowest sample_id if no image has an earlier name."""
    names: Array = pc.if_else(pa.array(images.new), images.ids, images.cluster)
    order = pc.sort_indices(names).to_numpy()
    n = len(order)
    rank = np.empty(n, np.int64)
    rank[order] = np.arange(n)
    rank[images.new] += n
    best = lowest(label, rank)
    return names.take(order[best % n] if n else best)

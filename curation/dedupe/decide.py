"""Decides on images: the keeper, the cluster and the reason of each.

Hashes and colours say which images may be near, and chains of those fall into components. What is near lies in one
component, so that components are decided one after the other, some together: what else is known of an image is in
memory only while it is decided on.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from curation.dedupe.blocks import Blocks
from curation.dedupe.clusters import components, lowest
from curation.dedupe.decisions import Decisions
from curation.dedupe.gather import Images
from curation.dedupe.keep import Kept, PriorDecision, all_kept, keepers
from curation.dedupe.search.distinct import Distinct
from curation.dedupe.search.kernels import Index
from curation.dedupe.search.link_kernels import flatten, link
from curation.dedupe.search.memory import must_fit
from curation.dedupe.search.rule import Rule, confirmed, rule_of, screening
from curation.dedupe.search.scan import near_rows
from curation.dedupe.search.symmetry import TURNS
from curation.images.windows import WINDOWS
from schemas.arrays import Values, whole
from schemas.recipe import Dedupe

_BATCH = 1 << 16  # images decided on together, unless more may all be near


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


def decide(blocks: Blocks, distance: int | Rule, *, removes: bool = True) -> Decisions:
    """Decides on all images; ignore what it says of images decided before.

    Without ``removes`` every image is its own keeper, and only the clusters show which images are near. Raises
    ``TooMuchMemory`` where more images than fit into memory may all be near each other.
    """
    rule = rule_of(distance)
    found = Decisions(blocks)
    screen = screening(rule)
    component = _screened(blocks, screen)
    for places in _batches(component):
        must_fit(len(places), crops=rule.turns > TURNS)
        images = blocks.images(places)
        distinct = Distinct.of(images.rows(rule))
        if screen == rule:  # it has found no more than what is near
            rows = np.unique(component[places[distinct.first]], return_inverse=True)[1].astype(np.uint32)
        else:
            rows = _components(images, distinct, rule)
        found.put(places, images, _kept(images, distinct, rule, rows, removes), _named(images, rows[distinct.row]))
    return found


def _screened(blocks: Blocks, rule: Rule) -> Index:
    """For each image the lowest place of the component of images that may be near each other.

    Every two blocks are compared, unless both were decided before.
    """
    parent = np.arange(len(blocks), dtype=np.uint32)
    for block in range(len(blocks.tables)):
        own, places = _searched(blocks, block, rule)
        first, later = own.repeated()
        start = np.uint32(blocks.starts[block])
        _link(parent, first + start, later + start)
        young = blocks.is_new(block)
        if young:
            for keys in near_rows(own.rows, None, rule, spanning=True):
                link(parent, keys, places, places)
        else:
            _link(parent, *(found + start for found in _same_names(blocks.tables[block].column("cluster"))))
        for other in range(block):
            its = _searched(blocks, other, rule)
            # A picture goes for a part of another one: with parts, it matters which side is asked. A new one asks.
            if young:
                _across(parent, (own, places), its, rule)
            if blocks.is_new(other) and not (young and rule.turns in (1, TURNS)):
                _across(parent, its, (own, places), rule)
    flatten(parent)
    return parent


def _searched(blocks: Blocks, block: int, rule: Rule) -> tuple[Distinct, Index]:
    """The rows of a block, and the place of the first image of each."""
    found = blocks.distinct(block, rule)
    return found, found.first + np.uint32(blocks.starts[block])


def _across(parent: Index, one: tuple[Distinct, Index], other: tuple[Distinct, Index], rule: Rule) -> None:
    """Links the images of one block with those of another that they are near."""
    for keys in near_rows(one[0].rows, other[0].rows, rule, spanning=True):
        link(parent, keys, one[1], other[1])


def _link(parent: Index, one: Index, other: Index) -> None:
    """Links each place with the one beside it."""
    each = np.arange(len(one), dtype=np.uint64)
    link(parent, (each << np.uint64(32)) | each, one, other)


def _batches(component: Index) -> Iterator[NDArray[np.int64]]:
    """The places of all components that have several images, sorted; each component is whole in one batch."""
    sizes = np.bincount(component, minlength=1)
    order = np.flatnonzero(sizes[component] > 1)
    order = order[np.argsort(component[order], kind="stable")]
    ends = np.cumsum(sizes[sizes > 1])
    start = 0
    while start < len(order):
        stop = int(ends[max(np.searchsorted(ends, start + _BATCH, "right") - 1, np.searchsorted(ends, start, "right"))])
        yield np.sort(order[start:stop])
        start = stop


def _components(images: Images, distinct: Distinct, rule: Rule) -> Index:
    """Components of the images' rows; images decided before are linked when their cluster names are equal."""
    if images.new.all():
        return components(distinct.rows, rule)
    new = np.zeros(len(distinct.rows), np.bool_)
    new[distinct.row[images.new]] = True
    row = distinct.row[~images.new]
    one, other = _same_names(images.cluster.filter(pa.array(~images.new)))
    return components(distinct.rows, rule, new=new, known=(row[one], row[other]))


def _same_names(names: Values) -> tuple[Index, Index]:
    """Each place, and the first place with the same name."""
    numbers = whole(names).dictionary_encode().indices.to_numpy(zero_copy_only=False)
    _, first, name = np.unique(numbers, return_index=True, return_inverse=True)
    return np.arange(len(numbers), dtype=np.uint32), first[name].astype(np.uint32)


def _kept(images: Images, distinct: Distinct, rule: Rule, component: Index, removes: bool) -> Kept:
    if not removes:
        return all_kept(distinct, rule)
    decided = np.where(images.keeper, np.uint8(PriorDecision.KEEPER), np.uint8(PriorDecision.REMOVED))
    prior = np.where(images.new, np.uint8(PriorDecision.OPEN), decided)
    return keepers(distinct, images.rank(), rule, prior=prior, component=component)


def _named(images: Images, label: Index) -> NDArray[np.int64]:
    """For each image the one whose name its component has.

    That is the lowest name of an earlier cluster, or the lowest sample_id if no image was decided before.
    """
    order = pc.sort_indices(pc.if_else(pa.array(images.new), images.ids, images.cluster)).to_numpy()
    n = len(order)
    rank = np.empty(n, np.int64)
    rank[order] = np.arange(n)
    rank[images.new] += n
    found: NDArray[np.int64] = order.astype(np.int64)[lowest(label, rank) % n]
    return found

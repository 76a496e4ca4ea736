"""Recall and precision of near duplicates by a rule, measured on pictures and all their transformations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from curation.dedupe.across.evaluation import seen_in
from curation.dedupe.gather import search_rows
from curation.dedupe.search.colours import LOOK_WORDS
from curation.dedupe.search.distinct import Distinct
from curation.dedupe.search.kernels import near, near_each
from curation.dedupe.search.rule import Rule
from curation.dedupe.search.scan import near_rows
from curation.dedupe.search.symmetry import TURNS
from curation.demo.near import TRANSFORMATIONS
from curation.demo.render import encode
from curation.images.phash import crop_hashes
from curation.images.pixels import prepare
from schemas.recipe import Download

# What a recipe's defaults are meant to find, and what by their hash alone only a search for turned pictures finds.
MEANT = ("re-encoded at 30", "resized to half", "resized to double", "grey", "brighter", "watermarked")
TURNED = ("mirrored", "turned by 90°")
RECALL, PRECISION = 0.99, 0.999
ORIGINAL = "original"
PIXELS = Download(min_side=1, max_aspect=0)
Words = NDArray[np.uint64]


@dataclass(frozen=True)
class Measured:
    """``recall`` by transformation; ``precision`` over ``pairs``; ``wrong`` pairs of pictures in any of their forms.

    ``held_out`` is the recall of the pictures at odd places.
    """

    pictures: int
    recall: Mapping[str, float]
    precision: float
    pairs: int
    wrong: int
    held_out: Mapping[str, float] = field(default_factory=dict)


def measure(pictures: Iterable[tuple[NDArray[np.uint8], bytes]], rule: Rule) -> Measured:
    """``pictures`` are RGB pixels with the file that shows them. All go through the pixel care of a run.

    Hashes are compared by the rule, and colours with them, as in a root that knows both.
    """
    rule = rule._replace(colours=LOOK_WORDS)
    rows: dict[str, list[list[np.uint64]]] = {ORIGINAL: [], **{name: [] for name in TRANSFORMATIONS}}
    for pixels, data in pictures:
        rows[ORIGINAL].append(words(data))
        for name, change in TRANSFORMATIONS.items():
            rows[name].append(words(change(pixels)))
    hashes = {name: np.array(found, np.uint64) for name, found in rows.items()}
    n = len(hashes[ORIGINAL])
    recall = {name: _recall(hashes[ORIGINAL], hashes[name], rule, turned=name in TURNED) for name in TRANSFORMATIONS}
    kinds = [name for name in hashes if name not in TURNED]
    shows = np.tile(np.arange(n), len(kinds))
    share, pairs, wrong = _precision(np.concatenate([hashes[name] for name in kinds]), shows, rule)
    return Measured(n, recall, share, pairs, wrong)


def measure_copies(
    pictures: Sequence[NDArray[np.uint8]],
    copies: Mapping[str, Callable[[NDArray[np.uint8]], bytes]],
    rule: Rule,
    others: Iterable[tuple[str, NDArray[np.uint8]]] = (),
) -> Measured:
    """Recall of copies of pictures by kind, and precision among all of them and ``others``, RGB pixels by their name.

    Pictures of one name are the same. A rule with turns compares parts and symmetries of every picture too.
    """
    rule = rule._replace(colours=LOOK_WORDS)
    files = {ORIGINAL: [encode(p, 92) for p in pictures]}
    files |= {name: [change(p) for p in pictures] for name, change in copies.items()}
    rows = {name: search_rows_of(found, rule) for name, found in files.items()}
    hit = {name: near_each(rows[name], rows[ORIGINAL], rule) for name in copies}
    named = [(name, encode(p, 90)) for name, p in others]
    number = {name: len(pictures) + n for n, name in enumerate(dict.fromkeys(name for name, _ in named))}
    shows = np.concatenate([np.tile(np.arange(len(pictures)), len(rows)), [number[name] for name, _ in named]])
    more = [search_rows_of([data for _, data in named], rule)] if named else []
    share, pairs, wrong = _precision(np.concatenate([*rows.values(), *more]), shows.astype(np.int64), rule)
    recall, later = ({n: float(h[start::step].mean()) for n, h in hit.items()} for start, step in ((0, 1), (1, 2)))
    return Measured(len(pictures), recall, share, pairs, wrong, later)


def share_near(pairs: Sequence[tuple[NDArray[np.uint8], NDArray[np.uint8]]], rule: Rule) -> float:
    """The share of pairs of pictures, RGB pixels, that count as the same."""
    rule = rule._replace(colours=LOOK_WORDS)
    one, two = (search_rows_of([encode(pair[side], 92) for pair in pairs], rule) for side in (0, 1))
    return float(near_each(one, two, rule).mean())


def pairs_near(files: Sequence[bytes], rule: Rule, *, looks: bool = True) -> int:
    """How many pairs of these files count as the same; by their hashes alone without ``looks``."""
    rule = rule._replace(colours=LOOK_WORDS if looks else 0)
    rows = search_rows_of(files, rule)
    return sum(
        int(near_each(rows[n + 1 :], np.tile(row, (len(rows) - n - 1, 1)), rule).sum()) for n, row in enumerate(rows)
    )


def search_rows_of(files: Sequence[bytes], rule: Rule) -> Words:
    """Files as a run would look for them by a rule."""
    seen = np.array([words(data) for data in files], np.uint64)
    crops = np.empty((len(files), 0), np.uint64)
    if rule.turns > TURNS:
        told = b"".join(map(_parts, files))
        crops = np.frombuffer(told, np.uint64).reshape(len(files), -1).copy()
        crops[:, ::5] = crops[:, ::5].byteswap()
    return search_rows(np.ascontiguousarray(seen[:, :5]), crops, np.ascontiguousarray(seen[:, 5:]), rule)


def _parts(data: bytes) -> bytes:
    pixels = cv2.imdecode(np.frombuffer(prepare(data, PIXELS).data, np.uint8), cv2.IMREAD_COLOR)
    return crop_hashes(np.asarray(pixels, np.uint8), "bgr")


def words(data: bytes) -> list[np.uint64]:
    """The hashes, colours and thumbnail of a file's pixels as a run would store them."""
    seen = prepare(data, PIXELS)
    return [np.uint64(seen.phash), *np.frombuffer(seen.phash256 + seen.colours + seen.thumbnail, np.uint64)]


def _recall(originals: Words, copies: Words, rule: Rule, *, turned: bool) -> float:
    if turned:
        seen = seen_in(copies, originals, rule, symmetries=True)
        return float((seen.place == np.arange(len(originals))).mean())
    return float(np.mean([near(copy, original, rule) for copy, original in zip(copies, originals, strict=True)]))


def _precision(hashes: Words, shows: NDArray[np.int64], rule: Rule) -> tuple[float, int, int]:
    """Share of right pairs, all pairs, and how many pairs of pictures are wrong in any of their versions."""
    distinct = Distinct.of(hashes)
    found = [*near_rows(distinct.rows, None, rule)]
    keys = np.concatenate(found) if found else np.empty(0, np.uint64)
    if rule.turns > 1:  # pairs come in either order, and more than once
        one, two = keys >> np.uint64(32), keys & np.uint64(2**32 - 1)
        keys = np.unique((np.minimum(one, two) << np.uint64(32) | np.maximum(one, two))[one != two])
    members = [distinct.places[s:e] for s, e in zip(distinct.starts[:-1], distinct.starts[1:], strict=True)]
    right = total = 0
    wrong: set[tuple[int, int]] = set()
    own = np.arange(len(members))
    ends = np.stack([np.concatenate([own, keys >> np.uint64(32)]), np.concatenate([own, keys & np.uint64(2**32 - 1)])])
    for i, j in ends.T.astype(np.int64).tolist():
        for a in shows[members[i]].tolist():
            for b in shows[members[j]].tolist():
                total += 1
                right += a == b
                if a != b:
                    wrong.add((min(a, b), max(a, b)))
        if i == j:
            total, right = total - len(members[i]), right - len(members[i])
    return right / max(1, total), total, len(wrong)

"""Recall a transformation, and precision overall, of the near duplicates that a recipe's defaults find.

Scenes of the demo world and all their transformations go through the same pixel care as in a run. Recall is the
share of transformed pictures that count as the same as their original; precision the share of all pairs that count
as the same, originals and copies of all kinds among each other, which do show the same scene. Mirrored and turned
pictures are asked for by their hash alone, as ``flows.dedupe --against`` does. ``--photographs FOLDER`` takes JPEG
files instead. Goals: 0.99 for what the defaults are meant to find, and precision 0.999.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from curation.dedupe.distinct import Distinct
from curation.dedupe.reduce import rule_for
from curation.dedupe.rule import Rule
from curation.dedupe.scan import near_rows
from curation.dedupe.verdicts import seen_in
from curation.demo.near import TRANSFORMATIONS
from curation.demo.render import encode, render
from curation.demo.world import scene
from curation.fetch.pixels import prepare
from schemas.recipe import Dedupe, Download

MEANT = ("re-encoded at 30", "resized to half", "resized to double", "grey", "brighter", "watermarked")
TURNED = ("mirrored", "turned by 90°")
PIXELS = Download(min_side=1, max_aspect=0)
Words = NDArray[np.uint64]


def words(data: bytes) -> list[np.uint64]:
    seen = prepare(data, PIXELS)
    return [np.uint64(seen.phash), *np.frombuffer(seen.phash256, np.uint64)]


def pictures(options: argparse.Namespace) -> Iterator[tuple[NDArray[np.uint8], bytes]]:
    if options.photographs is None:
        for number in range(options.scenes):
            shown = scene(options.seed, number)
            pixels = render(shown)
            yield pixels, encode(pixels, shown.photo.quality)
    else:
        for path in sorted(p for p in options.photographs.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg")):
            data = path.read_bytes()
            pixels = cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
            yield pixels, data


def near(a: Words, b: Words, rule: Rule) -> NDArray[np.bool_]:
    """Whether each row of a is near the row of b beside it."""
    first = np.bitwise_count(a[:, 0] ^ b[:, 0])
    second = np.bitwise_count(a[:, 1:] ^ b[:, 1:]).sum(axis=1)
    confirmed: NDArray[np.bool_] = (first <= rule.alone) | ((first <= rule.distance) & (second <= rule.second))
    return confirmed


def precision(hashes: Words, shows: NDArray[np.int64], rule: Rule) -> tuple[float, int, int]:
    """Share of right pairs, all pairs, and how many pairs of pictures are wrong in any of their versions."""
    distinct = Distinct.of(hashes)
    found = [*near_rows(distinct.rows, None, rule)]
    keys = np.concatenate(found) if found else np.empty(0, np.uint64)
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


def main() -> None:
    parser = argparse.ArgumentParser(description="recall and precision of near duplicates")
    parser.add_argument("--scenes", type=int, default=150)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--photographs", type=Path)
    options = parser.parse_args()
    rule = rule_for(Dedupe())
    rows: dict[str, list[list[np.uint64]]] = {"original": [], **{name: [] for name in TRANSFORMATIONS}}
    for pixels, data in pictures(options):
        rows["original"].append(words(data))
        for name, change in TRANSFORMATIONS.items():
            rows[name].append(words(change(pixels)))
    hashes = {name: np.array(found, np.uint64) for name, found in rows.items()}
    n = len(hashes["original"])
    for name in TRANSFORMATIONS:
        if name in TURNED:
            seen = seen_in(hashes[name], hashes["original"], rule, symmetries=True)
            recall = float((seen.place == np.arange(n)).mean())
        else:
            recall = float(near(hashes["original"], hashes[name], rule).mean())
        goal = 0.99 if name in MEANT else 0.0
        told = name.replace(" ", "_").replace("%", "percent").replace("°", "")
        ratio = recall / (goal or 1)
        print(f"near_duplicates_{told} ratio={ratio:.3f} ours={recall:.4f} theirs={goal} n={n}", flush=True)
    kinds = [name for name in hashes if name not in TURNED]
    shows = np.tile(np.arange(n), len(kinds))
    share, pairs, wrong = precision(np.concatenate([hashes[name] for name in kinds]), shows, rule)
    print(
        f"near_duplicates_precision ratio={share / 0.999:.4f} ours={share:.5f} theirs=0.999 pairs={pairs} "
        f"wrong_pairs_of_pictures={wrong}"
    )


if __name__ == "__main__":
    main()

"""Recall a transformation, and precision overall, of the near duplicates that a recipe's defaults find.

Scenes of the demo world and all their transformations go through the same pixel care as in a run. Recall is the
share of transformed pictures that count as the same as their original; precision the share of all pairs that count
as the same, originals and copies of all kinds among each other, which do show the same scene. Mirrored and turned
pictures are asked for by their hash alone, as ``flows.dedupe --against`` does. ``--photographs FOLDER`` takes JPEG
files instead. Goals: 0.99 for what the defaults are meant to find, and precision 0.999.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from curation.dedupe.decide import rule_for
from curation.demo.render import encode, render
from curation.demo.world import scene
from schemas.recipe import Dedupe
from tests.support.near_measure import MEANT, PRECISION, RECALL, measure


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


def main() -> None:
    parser = argparse.ArgumentParser(description="recall and precision of near duplicates")
    parser.add_argument("--scenes", type=int, default=150)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--photographs", type=Path)
    found = measure(pictures(parser.parse_args()), rule_for(Dedupe()))
    for name, recall in found.recall.items():
        goal = RECALL if name in MEANT else 0.0
        text = name.replace(" ", "_").replace("%", "percent").replace("°", "")
        ratio = recall / (goal or 1)
        print(
            f"near_duplicates_{text} ratio={ratio:.3f} ours={recall:.4f} theirs={goal} n={found.pictures}", flush=True
        )
    print(
        f"near_duplicates_precision ratio={found.precision / PRECISION:.4f} ours={found.precision:.5f} "
        f"theirs={PRECISION} pairs={found.pairs} wrong_pairs_of_pictures={found.wrong}"
    )


if __name__ == "__main__":
    main()

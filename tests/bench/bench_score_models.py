"""Scores by models that their packages carry: pictures a second of one core, by processor time.

Pictures are made noise of 512 pixels with words on half of them: OCR takes longer the more words there are.

    python tests/bench/bench_score_models.py [PICTURES]
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np

from curation.images.picture import Picture, Pixels
from curation.scores.models.faces import Faces
from curation.scores.models.nsfw import Nsfw
from curation.scores.models.ocr import Ocr
from curation.scores.scorer import Scorer, checked
from tests.support.images import natural

SIDE = 512
WORDS = ("OPEN TODAY", "Main Street 12", "no parking")


def pictures(count: int) -> list[Pixels]:
    found = []
    for n in range(count):
        pixels = np.ascontiguousarray(natural(SIDE, SIDE, seed=n))
        for line, words in enumerate(WORDS if n % 2 else ()):
            cv2.putText(pixels, words, (40, 120 + 120 * line), cv2.FONT_HERSHEY_SIMPLEX, 1.6, (0, 0, 0), 4, cv2.LINE_AA)
        found.append(pixels)
    return found


def measure(scorer: Scorer, shown: list[Pixels]) -> None:
    with checked(scorer).open() as look:
        look(Picture(shown[0]))  # loads, and warms up
        processor, wall = time.process_time(), time.perf_counter()
        for pixels in shown:
            look(Picture(pixels))
        processor, wall = time.process_time() - processor, time.perf_counter() - wall
    load = Path("/proc/loadavg").read_text().split()[0]
    print(f"score_{scorer.name} pictures={len(shown)} {len(shown) / processor:.1f}/s of one core "
          f"(wall {len(shown) / wall:.1f}/s) load={load}", flush=True)  # fmt: skip


def main(count: int = 40) -> None:
    shown = pictures(count)
    for scorer in (Nsfw(), Faces(), Ocr()):
        measure(scorer, shown)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

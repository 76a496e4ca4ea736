"""Scenes a second on one core: composing, drawing, photographing and encoding; captions and judgements too."""

from __future__ import annotations

import time
from collections.abc import Callable

import cv2

from curation.demo.judge import judge
from curation.demo.phrases import dense_caption
from curation.demo.render import jpeg
from curation.demo.truth import generator
from curation.demo.world import scene

GOAL = 100.0
COUNT = 300


def _rate(work: Callable[[int], object]) -> float:
    """Calls a second of process time, so that other processes do not count."""
    for i in range(20):
        work(i)
    started = time.process_time()
    for i in range(COUNT):
        work(1000 + i)
    return COUNT / (time.process_time() - started)


def main() -> None:
    cv2.setNumThreads(1)
    made = _rate(lambda i: jpeg(scene(0, i)))
    composed = _rate(lambda i: scene(0, i))
    found = _rate(lambda i: judge(scene(0, i), dense_caption(scene(0, i), generator(i))))
    print(f"demo_world ratio={made / GOAL:.2f} ours={made:.0f}/s theirs={GOAL:.0f}/s (the goal)")
    print(f"demo_world composed={composed:.0f}/s composed+captioned+judged={found:.0f}/s")


if __name__ == "__main__":
    main()

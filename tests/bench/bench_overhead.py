"""Processor time a sample of all that a run does but to fetch, to decode and to ask a model: ``bench_overhead.py [N]``.

What a further sample costs is the difference of a run and one of half its samples; what is left is the run's own, as
is what the card of a release says of its first thousand samples.
The source is tars of JPEGs with texts, the captions are scripted and therefore cost next to nothing. Of the download
stage only what it does beside making the pictures counts: the same bytes go through the same function without it, in as
many threads, which slow each other. The speed of cores differs, so that a loop of plain Python is timed too.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from curation.core.cores import cores
from curation.images.pixels import prepare
from schemas.refine import RefineLaion
from tests.support.bench_runs import made, refine, write_source

SAMPLES = 2000
WARM = 100  # samples of a first run, which loads libraries and models
SIZE = (320, 288)
GOAL = 2.0  # milliseconds
LOOP = 10_000_000  # turns, of which a core of today does some 15 million a second


def refined(folder: Path, samples: int, first: int) -> Counter[str]:
    """A whole run of so many samples; seconds of processor time by table, or by the end of a step."""
    spent: Counter[str] = Counter()

    def look(table: str, seconds: float) -> None:
        spent[table] += seconds

    write_source(folder / "source", samples, *SIZE, first)
    refine(folder / "root", folder / "source", (), look)
    return spent


def main() -> None:
    samples = int(sys.argv[1]) if sys.argv[1:] else SAMPLES
    few = samples // 2
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        refined(folder / "warm", WARM, 10**6)
        spent: list[Counter[str]] = []
        pixels = []
        for n in (few, samples):
            spent.append(refined(folder / str(n), n, n))
            pixels.append(seconds_of_pixels([made(*SIZE, n + at) for at in range(n)]))
            spent[-1]["images"] -= pixels[-1]
    more = samples - few
    each = {name: 1000 * (spent[1][name] - spent[0][name]) / more for name in spent[1]}
    fixed = sum(spent[0].values()) - sum(each.values()) * few / 1000
    for name, milliseconds in sorted(each.items(), key=lambda item: -item[1]):
        if milliseconds >= 0.02:
            print(f"  {milliseconds:6.3f} ms  {name}")
    print(f"  {1000 * (pixels[1] - pixels[0]) / more:6.3f} ms  (not ours: the pictures)")
    own = sum(each.values())
    print(f"  {seconds_of_loop():6.3f} s   a loop of {LOOP} turns")
    print(f"overhead_a_sample ratio={GOAL / own:.2f} ours={own:.2f}ms theirs={GOAL:.1f}ms (the goal, one core)")
    print(f"overhead_a_run ours={fixed:.1f}s, whatever the number of samples")


def seconds_of_pixels(pictures: list[bytes]) -> float:
    settings = RefineLaion().download
    with ThreadPoolExecutor(cores()) as threads:
        started = time.process_time()
        for _ in threads.map(lambda data: prepare(data, settings), pictures):
            pass
        return time.process_time() - started


def seconds_of_loop() -> float:
    started = time.process_time()
    total = 0
    for n in range(LOOP):
        total += n * n
    return time.process_time() - started


if __name__ == "__main__":
    main()

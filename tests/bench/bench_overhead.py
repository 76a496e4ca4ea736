"""Processor time a sample of all that a run does but to fetch, to decode and to ask a model: ``bench_overhead.py [N]``.

What a further sample costs is the difference of a run and one of a fifth of its samples; what is left is the run's own.
The source is tars of JPEGs with texts, the captions are scripted and therefore cost next to nothing. Of the download
stage only what it does beside making the pictures counts: the same bytes go through the same function without it.
"""

from __future__ import annotations

import io
import sys
import tarfile
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from curation.core.engines.local import LocalEngine
from curation.core.lock import hold
from curation.core.root import resolve_recipe, write_recipe
from curation.core.run import warming
from curation.core.store import Store
from curation.images.pixels import prepare
from curation.products.refine import LAION_REFINED
from schemas.refine import RefineLaion
from tests.support.clean_captions import clean_captions
from tests.support.images import jpeg, natural

SAMPLES = 2000
WARM = 100  # samples of a first run, which loads libraries and models
PER_TAR = 1000
GOAL = 2.0  # milliseconds


def write_source(folder: Path, samples: int, first: int) -> list[bytes]:
    """Tars of pictures with texts; returns the pictures."""
    folder.mkdir(parents=True)
    texts = [alt_text or text for text, alt_text, _ in clean_captions(samples)]
    pictures = [jpeg(natural(320, 288, first + n), quality=90) for n in range(samples)]
    for at in range(0, samples, PER_TAR):
        with tarfile.open(folder / f"part-{at // PER_TAR:05d}.tar", "w") as tar:
            for n in range(at, min(at + PER_TAR, samples)):
                for suffix, data in (("jpg", pictures[n]), ("txt", f"{texts[n % len(texts)]} ({first + n})".encode())):
                    member = tarfile.TarInfo(f"{first + n:07d}.{suffix}")
                    member.size = len(data)
                    tar.addfile(member, io.BytesIO(data))
    return pictures


def refine(root: Path, source: Path) -> Counter[str]:
    """A whole run; seconds of processor time by table, or by step where that has several."""
    store = Store(str(root))
    recipe = resolve_recipe(RefineLaion, store, None, ["caption.backend=scripted"])
    spent: Counter[str] = Counter()
    with hold(store):
        write_recipe(store, recipe)
        steps = [step for step in LAION_REFINED.ready(recipe, [str(source)], store) if step.on]
        for load in warming(store, steps):
            load()
        for step in steps:
            last = time.process_time()

            def report(outcome: Any) -> None:
                nonlocal last
                now = time.process_time()
                spent[outcome.table] += now - last
                assert outcome.status == "done", outcome.error
                last = now

            step.run(store, LocalEngine(), report)
            spent[f"the end of {step.name}"] += time.process_time() - last
    return spent


def main() -> None:
    samples = int(sys.argv[1]) if sys.argv[1:] else SAMPLES
    few = samples // 5
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        write_source(folder / "warm source", WARM, 10**6)
        refine(folder / "warm", folder / "warm source")
        spent: list[Counter[str]] = []
        pixels = []
        for n in (few, samples):
            pictures = write_source(folder / f"source {n}", n, n)
            spent.append(refine(folder / f"root {n}", folder / f"source {n}"))
            pixels.append(seconds_of_pixels(pictures))
            spent[-1]["images"] -= pixels[-1]
    more = samples - few
    each = {name: 1000 * (spent[1][name] - spent[0][name]) / more for name in spent[1]}
    fixed = sum(spent[0].values()) - sum(each.values()) * few / 1000
    for name, milliseconds in sorted(each.items(), key=lambda item: -item[1]):
        if milliseconds >= 0.02:
            print(f"  {milliseconds:6.3f} ms  {name}")
    print(f"  {1000 * (pixels[1] - pixels[0]) / more:6.3f} ms  (not ours: the pictures)")
    own = sum(each.values())
    print(f"overhead_a_sample ratio={GOAL / own:.2f} ours={own:.2f}ms theirs={GOAL:.1f}ms (the goal, one core)")
    print(f"overhead_a_run ours={fixed:.1f}s, whatever the number of samples")


def seconds_of_pixels(pictures: list[bytes]) -> float:
    settings = RefineLaion().download
    started = time.process_time()
    for data in pictures:
        prepare(data, settings)
    return time.process_time() - started


if __name__ == "__main__":
    main()

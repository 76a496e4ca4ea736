"""Whole runs of refine_laion for benches: tars of small pictures with texts, scripted captions, one process."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from curation.core.engines.local import LocalEngine
from curation.core.job import Outcome
from curation.core.lock import hold
from curation.core.root import resolve_recipe, write_recipe
from curation.core.run import compact_tables, warming
from curation.core.store import Store
from curation.products.refine import LAION_REFINED
from schemas.refine import RefineLaion
from tests.support.clean_captions import clean_captions
from tests.support.images import jpeg, natural

PER_TAR = 5_000


def write_source(folder: Path, samples: int, width: int, height: int, first: int = 0) -> None:
    """Tars of JPEGs with texts, numbered from ``first``."""
    folder.mkdir(parents=True)
    texts = [alt_text or text for text, alt_text, _ in clean_captions(1000)]
    for at in range(0, samples, PER_TAR):
        with tarfile.open(folder / f"part-{at // PER_TAR:05d}.tar", "w") as tar:
            for n in range(first + at, first + min(at + PER_TAR, samples)):
                picture = made(width, height, n)
                for suffix, data in (("jpg", picture), ("txt", f"{texts[n % len(texts)]} ({n})".encode())):
                    member = tarfile.TarInfo(f"{n:08d}.{suffix}")
                    member.size = len(data)
                    tar.addfile(member, io.BytesIO(data))


def made(width: int, height: int, number: int) -> bytes:
    """The picture of this number."""
    return jpeg(natural(width, height, number), quality=90)


def refine(root: Path, source: Path, settings: Sequence[str], look: Callable[[str, float], None]) -> None:
    """A whole run; ``look`` is told each table, or end of a step, and the seconds of processor time that it took."""
    store = Store(str(root))
    recipe = resolve_recipe(RefineLaion, store, None, ["caption.backend=scripted", *settings])
    with hold(store):
        write_recipe(store, recipe)
        steps = [step for step in LAION_REFINED.ready(recipe, [str(source)], store) if step.on]
        for load in warming(store, steps):
            load()
        for step in steps:
            last = time.process_time()

            def report(outcome: Outcome) -> None:
                nonlocal last
                assert outcome.status == "done", outcome.error
                now = time.process_time()
                look(outcome.table, now - last)
                last = now

            done = step.run(store, LocalEngine(), report).done
            compact_tables(store, step, done)
            look(f"the end of {step.name}", time.process_time() - last)

"""How long a takedown takes in a root of many shards: ``bench_takedown.py [SHARDS]``.

The root is of a whole run: tars of small JPEGs with texts, scripted captions, ten samples a shard of the source and of
the release. Of copies of it one sample is taken down, then as many as there are shards, one of each. Seconds are of
processor time, since the wall's depends on other work; files of tables are those of the root that are opened.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from curation.catalog import connect, refresh
from curation.core.lock import hold
from curation.core.store import Store
from curation.takedown.asked import Asked
from curation.takedown.carry_out import carry_out
from curation.takedown.choice import choose
from tests.bench.bench_growth import SETTINGS as SMALL
from tests.bench.bench_growth import SIDE
from tests.support.bench_runs import refine, write_source

SHARDS, ROWS = 1_000, 10
SETTINGS = (f"source.shard_rows={ROWS}", f"export.shard_size={ROWS}")
_opened: Counter[str] = Counter()


def count_opened(root: Path) -> None:
    """Counts files of the root by the folder that they lie in, each time that Python opens one."""

    def note(event: str, told: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(told[0], str) and told[0].startswith(f"{root}/"):
            _opened["/".join(Path(told[0]).relative_to(root).parts[:1])] += 1

    sys.addaudithook(note)


def take_down(root: Path, samples: list[str]) -> None:
    store = Store(str(root))
    _opened.clear()
    asked = Asked.of(reason="a bench", reference="", date="2026-01-02", samples=samples)
    started, cpu = time.perf_counter(), time.process_time()
    with hold(store, amid_takedown=True) as lock:
        choice = choose(store, asked)
        chosen = time.process_time()
        carry_out(store, choice, lock)
    seconds, ended = time.perf_counter() - started, time.process_time()
    opened = ", ".join(f"{folder} {n}" for folder, n in _opened.most_common(5))
    print(
        f"takedown_{len(samples)} seconds={ended - cpu:.1f} (to choose {chosen - cpu:.1f}, to carry out "
        f"{ended - chosen:.1f}) wall={seconds:.1f} samples={len(choice.goes)} shards={len(choice.by_shard)}; "
        f"opened: {opened}",
        flush=True,
    )


def main() -> None:
    shards = int(sys.argv[1]) if sys.argv[1:] else SHARDS
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        write_source(folder / "source", shards * ROWS, SIDE, SIDE)
        refine(folder / "root", folder / "source", (*SMALL, *SETTINGS), lambda table, seconds: None)
        refresh(Store(str(folder / "root")))
        with connect(str(folder / "root")) as catalog:
            query = "SELECT min(sample_id) FROM rows JOIN placements USING (sample_id) GROUP BY rows.shard ORDER BY 1"
            one_of_each = [row[0] for row in catalog.execute(query).fetchall()]
        print(f"a root of {shards} shards and {shards * ROWS} samples", flush=True)
        count_opened(folder / "copy")
        for samples in (one_of_each[:1], one_of_each):
            shutil.copytree(folder / "root", folder / "copy")
            take_down(folder / "copy", samples)
            shutil.rmtree(folder / "copy")


if __name__ == "__main__":
    main()

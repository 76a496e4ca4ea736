"""Rate, memory and files of whole runs of growing size: ``bench_growth.py SIZES``.

Each size is a run of ``refine_laion`` of its own, in a process of its own: tars of small JPEGs (64 pixels a side) with
texts as the source, scripted captions, the engine of one process, all other settings as they are. A rate is samples a
second of processor time, since the wall's depends on other work; the clock starts once libraries and models are there.
Memory is the process's, read after every shard.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from curation.catalog import conservation
from curation.core.store import Store
from tests.support.bench_runs import refine, write_source

SIZES = (1_000, 10_000, 100_000)
SIDE = 64
SETTINGS = (
    f"source.min_side={SIDE}",
    f"download.min_side={SIDE}",
    "source.shard_rows=1000",
)
NAMED = 6  # tables of which a line is printed, the dearest first
MEGA = 1 << 20


def one(source: Path, root: Path, small: Path) -> None:
    """The run of one size; prints what it took as JSON. A small run before it loads what is loaded once."""
    write_source(small / "source", 60, SIDE, SIDE)
    refine(small / "root", small / "source", SETTINGS, lambda table, seconds: None)
    spent: Counter[str] = Counter()
    memory = [resident()]

    def look(table: str, seconds: float) -> None:
        spent[table] += seconds
        memory.append(resident())

    started = time.perf_counter()
    refine(root, source, SETTINGS, look)
    counts = conservation(Store(str(root)))
    assert counts.ok, str(counts)
    files = [p for p in root.rglob("*") if p.is_file()]
    found: dict[str, Any] = {
        "kept": counts.kept,
        "seconds": sum(spent.values()),
        "wall": time.perf_counter() - started,
        "memory": max(memory),
        "before": memory[0],
        "files": len(files),
        "bytes": sum(p.stat().st_size for p in files),
        "spent": spent,
    }
    print(json.dumps(found))


def resident() -> int:
    """Bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    if sys.argv[1:2] == ["one"]:
        one(*map(Path, sys.argv[2:5]))
        return
    sizes = [int(size) for size in sys.argv[1:]] or list(SIZES)
    first: dict[str, Any] | None = None
    for size in sizes:
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made)
            write_source(folder / "source", size, SIDE, SIDE)
            words = [sys.executable, __file__, "one", *(str(folder / name) for name in ("source", "root", "small"))]
            done = subprocess.run(words, check=True, capture_output=True, text=True)
        found = json.loads(done.stdout.splitlines()[-1])
        first = first or {**found, "size": size}
        show(size, found, first)


def show(size: int, found: dict[str, Any], first: dict[str, Any]) -> None:
    rate, before = size / found["seconds"], first["size"] / first["seconds"]
    print(
        f"growth_{size} ratio={rate / before:.2f} ours={rate:.0f}/s theirs={before:.0f}/s (of {first['size']}); "
        f"kept={found['kept']} wall={found['wall']:.0f}s memory={found['memory'] / MEGA:.0f}MB "
        f"(before {found['before'] / MEGA:.0f}MB) files={found['files']} ({found['files'] / size:.4f} a sample) "
        f"bytes={found['bytes'] / size:.0f} a sample",
        flush=True,
    )
    for table, seconds in sorted(found["spent"].items(), key=lambda item: -item[1])[:NAMED]:
        print(f"  {1000 * seconds / size:6.3f} ms  {table}", flush=True)


if __name__ == "__main__":
    main()

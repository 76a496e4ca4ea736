"""Packing of a large root, group by group as a run does it, against one join of all rows: ``bench_pack.py [ROWS]``.

Theirs is the same statements over the whole root, with a database of 2 GB: in the 512 MB that a run allows on two cores
a million rows do not fit. Each is a process of its own, whose processor time and largest memory
are told; both must place every sample alike.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from curation.core import database
from curation.core.store import Store
from curation.products import steps_of
from curation.release.pack_stage import PackReduce
from curation.release.views import groups
from tests.support.bench_roots import made_root
from tests.support.release_steps import reduces_of

ROWS = 1_000_000


def pack(url: str) -> dict[str, Any]:
    """Places the samples of a root and writes nothing."""
    store = Store(url)
    (reduce,) = [r for r in reduces_of(steps_of(store)[0]) if isinstance(r, PackReduce)]
    started, placed, samples = time.process_time(), hashlib.sha256(), 0
    for shard, rows in reduce.run(store, {}).shards:
        samples += rows.num_rows
        placed.update(f"{shard} {','.join(rows['sample_id'].to_pylist())}\n".encode())
    peak = Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]
    return {
        "seconds": time.process_time() - started,
        "memory": int(peak) / 1024,
        "samples": samples,
        "placed": placed.hexdigest(),
    }


def main() -> None:
    if sys.argv[1:2] == ["one"]:
        groups.ROWS, database._OF_A_THREAD = int(sys.argv[3]), int(sys.argv[4])
        print(json.dumps(pack(sys.argv[2])))
        return
    rows = int(sys.argv[1]) if sys.argv[1:] else ROWS
    with tempfile.TemporaryDirectory() as folder:
        made_root(f"{folder}/root", rows)
        found = []
        for size, megabytes in ((groups.ROWS, database._OF_A_THREAD), (10**12, 1024)):
            words = [sys.executable, __file__, "one", f"{folder}/root", str(size), str(megabytes)]
            done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
            found.append(json.loads(done.stdout))
    ours, theirs = found
    assert ours["placed"] == theirs["placed"] and ours["samples"]
    print(
        f"pack_{rows} ratio={theirs['seconds'] / ours['seconds']:.2f} ours={ours['seconds']:.1f}s "
        f"theirs={theirs['seconds']:.1f}s (one join); memory ours={ours['memory']:.0f}MB "
        f"theirs={theirs['memory']:.0f}MB; {ours['samples']} samples placed alike"
    )


if __name__ == "__main__":
    main()

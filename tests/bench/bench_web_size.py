"""What whole runs of refine_laion cost over a root of many shards: stages, reduces, card, page, catalog and counts::

    bench_web_size.py [SHARDS ...] [--grow] [--s3]

A root of SHARDS shards of one sample, each a release shard too, is made from a run of one sample (``web_size``), and a
run finds nothing to do in it. Without ``--grow`` the manifest alone is that large: there are no tables and no tars, so
that a run that looked at one of them would fail. With it they are there: a first run makes the card, the page and the
counts from them, and the last two meet a new file of the source each, of four samples; the first of them gathers the
rows of the root's shards (``gathered``), which runs that made it would have done on their way. With ``--s3`` the root
lies in a bucket of moto's server on loopback, in another process. Seconds are of processor time, without Prefect's
server; the engine is that of one process.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from curation.core.store import Store
from tests.support.bench_requests import count_requests, object_store
from tests.support.bench_runs import write_source
from tests.support.web_size import index, make_root

SHARDS = (2_000, 20_000, 200_000)
NEW = 4


def look(what: str, source: str, root: str) -> None:
    """One run of the command, in this process."""
    from flows.refine_laion import main as refine_laion

    asked = count_requests()
    opened = count_opened(root)
    cpu, wall = time.process_time(), time.perf_counter()
    code = refine_laion(["--source", source, "--root", root, "--engine", "local"])
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    status = Path("/proc/self/status").read_text()  # what resource says counts the process before exec too
    peak = int(status.partition("VmHWM:")[2].split()[0]) / 2**10
    shards = Store(root).count("rows")
    print(
        f"web_size_{shards}_{what} code={code} cpu={cpu:.1f}s wall={wall:.1f}s peak={peak:.0f}MiB "
        f"requests={len(asked)} opened={len(opened)}",
        file=sys.stderr,
    )


def count_opened(root: str) -> list[None]:
    """Grows by one for each file of a root that Python opens, in a folder."""
    opened: list[None] = []

    def seen(event: str, args: tuple[object, ...]) -> None:
        if event == "open" and str(args[0]).startswith(root):
            opened.append(None)

    sys.addaudithook(seen)
    return opened


def measured(what: str, source: Path, root: str) -> None:
    words = [sys.executable, __file__, "look", what, str(source), root]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


def one(shards: int, *, grow: bool, remote: bool) -> None:
    """The runs over a root of this size."""
    with tempfile.TemporaryDirectory() as folder, object_store() if remote else nullcontext("") as bucket:
        source, made = Path(folder) / "source", Path(folder) / "root"
        make_root(made, source, shards, tables_too=grow)
        if grow:
            index(made)
        root = str(made)
        if bucket:
            (made / "lock.json").unlink()
            Store(bucket).filesystem.put(f"{made}/", f"{bucket}/", recursive=True)
            root = bucket
        if grow:
            measured("finished", source, root)
        measured("nothing_to_do", source, root)
        if grow:
            for night in (1, 2):
                write_source(new := Path(folder) / f"new-{night}", NEW, 64, 64, shards + night * NEW)
                (new / "part-00000.tar").rename(source / f"part-9999{night}.tar")
                measured(f"{NEW}_new_samples_night_{night}", source, root)


def main() -> None:
    if sys.argv[1:2] == ["look"]:
        look(*sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shards", nargs="*", type=int, default=SHARDS)
    parser.add_argument("--grow", action="store_true")
    parser.add_argument("--s3", action="store_true")
    words = parser.parse_args()
    for shards in words.shards:
        one(shards, grow=words.grow, remote=words.s3)


if __name__ == "__main__":
    main()

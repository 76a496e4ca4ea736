"""A rerun of a finished root with 100 shards, against an empty flow: what the rerun costs on top of Prefect's start."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from curation.demo.web import DemoWeb
from tests.support.processes import REPOSITORY, environment
from tests.support.runs import quick, refine

EMPTY = "import flows\nfrom prefect import flow\n@flow\ndef nothing() -> None: ...\nnothing()\n"
ROUNDS = 3


def timed(words: list[str], home: Path) -> float:
    started = time.perf_counter()
    subprocess.run(words, cwd=REPOSITORY, env=environment(home), check=True, capture_output=True)
    return time.perf_counter() - started


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        with DemoWeb(seed=1, scenes=90, parts=1, without=("slow", "slow drip", "endless")) as web:
            web.write(home / "source")
            settings = [*quick(web.host_port), "source.shard_rows=1", "export.shard_size=1", "source.limit=100"]
            source = f"{home}/source/part-*.parquet"
            refine(f"{home}/root", source, settings)
        shards = len(list(home.glob("root/manifest/rows/*.json")))
        words = [w for s in settings for w in ("--set", s)]
        again = [sys.executable, "-m", "flows.refine_laion", "--source", source, "--root", f"{home}/root", *words]
        empty = [sys.executable, "-c", EMPTY]
        timed(empty, home)  # Prefect makes its database once
        pairs = [(timed(again, home), timed(empty, home)) for _ in range(ROUNDS)]
    ours, theirs = median(a for a, _ in pairs), median(b for _, b in pairs)
    on_top = median(a - b for a, b in pairs)
    print(f"rerun_{shards}_shards ratio={ours / theirs:.2f} ours={ours:.2f}s theirs={theirs:.2f}s on_top={on_top:.2f}s")


if __name__ == "__main__":
    main()

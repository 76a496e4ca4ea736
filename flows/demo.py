"""``python -m flows.demo``: serves the demo world on 127.0.0.1 and refines it, as a first look at everything."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from curation.demo.web import DemoWeb
from flows import refine_laion
from flows.tasks import leave

# Fixed, so that a second run finds the same URLs and has nothing left to do.
PORT = 8712


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of the run."""
    parser = argparse.ArgumentParser(prog="python -m flows.demo", description=__doc__)
    parser.add_argument("--root", default="runs/demo", help="where the dataset is made")
    parser.add_argument("--scenes", type=int, default=300, help="pictures of the demo world")
    parser.add_argument("--seed", type=int, default=0, help="of the demo world")
    parser.add_argument("--port", type=int, default=PORT, help="of the demo web on 127.0.0.1")
    parser.add_argument("--engine", choices=("ray", "local"), default="ray")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    args = parser.parse_args(argv)
    folder = Path(args.root + "-source")
    try:
        web = DemoWeb(seed=args.seed, scenes=args.scenes, port=args.port)
    except OSError as error:
        print(f"error: cannot listen on 127.0.0.1:{args.port}: {error}; name another --port", file=sys.stderr)
        return 2
    with web:
        web.write(folder)
        settings = [
            f'download.allow_private_hosts=["{web.host_port}"]',
            "source.shard_rows=100",
            "export.shard_size=100",
            "download.timeout=4",
            "download.retries=1",
            *args.settings,
        ]
        words = ["--source", f"{folder}/part-*.parquet", "--root", args.root, "--engine", args.engine]
        return refine_laion.main([*words, *(w for s in settings for w in ("--set", s))])


if __name__ == "__main__":
    leave(main())

"""``python -m flows.demo``: serves the demo world on 127.0.0.1 and refines it, as a first look at everything."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from curation.core.errors import LapidaryError
from curation.core.invocation import command_of
from curation.core.store import Store
from curation.demo.released import score_release, telling
from curation.demo.web import TRUTH, DemoWeb
from flows import refine_laion
from flows.demo_summary import print_examples, print_quality
from flows.summary import print_summary
from flows.tasks import leave

# Fixed, so that a second run finds the same URLs and has nothing left to do.
PORT = 8712
EXAMPLES = 10


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of the run."""
    parser = argparse.ArgumentParser(
        prog=command_of("flows.demo"),
        description="Serves the demo world on 127.0.0.1 and refines it, as a first look at everything.",
    )
    parser.add_argument("--root", default="runs/demo", help="folder of the dataset (default %(default)s)")
    parser.add_argument("--scenes", type=int, default=300, help="pictures of the demo world (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the demo world (default %(default)s)")
    parser.add_argument(
        "--port", type=int, default=PORT, help="port of the demo web on 127.0.0.1 (default %(default)s)"
    )
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
            "caption.model=demo",
            "source.shard_rows=100",
            "export.shard_size=100",
            "download.timeout=4",
            "download.retries=1",
            *args.settings,
        ]
        words = ["--source", f"{folder}/part-*.parquet", "--root", args.root, "--engine", args.engine]
        words += [w for s in settings for w in ("--set", s)]
        return refine_laion.main(words, lambda store: summarise(folder / TRUTH, store))


def summarise(truth: Path, store: Store, console: Console | None = None) -> None:
    """Ten captions beside their alt texts, the funnel, and how true the release is."""
    console = console or Console()
    try:
        score = score_release(truth, store)
    except LapidaryError as error:  # a root that an earlier demo of other scenes began
        print_summary(store, console)
        print(f"quality: not scored: {error}; name another --root for other scenes", file=sys.stderr)
        return
    print_examples(telling(score.samples, EXAMPLES), console)
    print_summary(store, console)
    print_quality(score, console)


if __name__ == "__main__":
    leave(main())

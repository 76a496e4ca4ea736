"""People judge samples: ``lapidary review ROOT`` serves the page of a root with a queue, and takes decisions."""

from __future__ import annotations

import argparse
import getpass
import sys
import webbrowser
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from curation.catalog import conservation, refresh
from curation.core.engines.local import LocalEngine
from curation.core.errors import LapidaryError, UsageError
from curation.core.invocation import command_of
from curation.core.lock import hold
from curation.core.printable import plural, printable
from curation.core.root import RECIPE, open_root
from curation.core.run import Step
from curation.core.store import Store, shown
from curation.products import product_of, steps_of
from curation.report.asking import opened
from curation.report.deciding import Judging
from curation.report.judging import MOST_QUEUED, Asking, takes_reviews
from curation.report.serving import serve
from curation.reviews.decision import MOST_NAME, Refused, parsed
from curation.reviews.journal import read_all
from curation.reviews.review_step import ReviewStep
from curation.reviews.table_file import write_csv
from flows.report import asks_for_report, write_quietly

MODULE = "flows.review"
_ABOUT = """
Serves the page of ROOT with samples to be judged: keep (K), reject with a reason (R), edit the caption (E), undo (U),
next (N), back (P). Each decision is a file in ROOT/reviews before it is answered; several people may judge at one
server or at several, and while a run holds the root. What was decided reaches the release with the next run, or with
--apply. A keep or an edit brings back what was rejected for its captions; never opt-outs, takedowns, duplicates or
what has no pixels.
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog=command_of(MODULE), description=_ABOUT.strip())
    made.add_argument("root", help="the dataset's root: a folder or any fsspec URL")
    queue = made.add_argument_group("the queue")
    queue.add_argument(
        "--where", default="", metavar="SQL", help="a condition over the view samples: \"reason = 'false_statement'\""
    )
    queue.add_argument(
        "--order",
        choices=("random", "uncertainty", "source"),
        default="random",
        help="uncertainty: what is nearest to a limit comes first (truth of statements, similarity, limits of scores)",
    )
    queue.add_argument("--seed", type=int, default=0, help="of the random order (default %(default)s)")
    queue.add_argument("--limit", type=int, default=0, metavar="N", help="at most so many samples")
    queue.add_argument(
        "--audit",
        type=int,
        default=0,
        metavar="N",
        help="two questions about N released samples drawn at random, for the release's error rate on its card",
    )
    queue.add_argument(
        "--as", dest="who", default="", metavar="NAME", help="whose decisions these are (default: yours)"
    )
    other = made.add_argument_group("instead of serving")
    other.add_argument("--csv", metavar="FILE", help="write all decisions as CSV; - is standard output")
    other.add_argument("--apply", action="store_true", help="bring what was decided into the release now")
    made.add_argument("--open", action="store_true", help="show it in a browser")
    made.add_argument("--port", type=int, default=0, metavar="PORT", help="port of the server (default: any)")
    made.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="address of the server (default %(default)s, this machine alone; others judge over plain HTTP, and who "
        "has the printed address may decide)",
    )
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """The command line's exit code: 0, 1 where the release could not be made, 2 for what is wrong from the start."""
    args = parser().parse_args(argv)
    try:
        store = open_root(args.root, shared=False)
        if args.csv is not None:
            return _csv(store, args.csv)
        with opened(args.root) as root:
            if not takes_reviews(root):
                raise UsageError(f"{shown(args.root)} holds the product {root.product.name!r}, which nobody reviews")
        if args.apply:
            return _apply(store)
        _serve(args, _asking(args), _name(args.who))
    except KeyboardInterrupt:
        return 0
    except (LapidaryError, OSError, OverflowError) as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        return 2
    return 0


def _asking(args: argparse.Namespace) -> Asking:
    if args.audit < 0 or args.limit < 0:
        raise UsageError("--audit and --limit are numbers of samples; expected 0 or more")
    if args.audit and (args.where or args.order != "random"):
        raise UsageError("--audit draws at random from all released samples; leave out --where and --order")
    most = args.audit or args.limit or MOST_QUEUED
    return Asking(where=args.where, order=args.order, seed=args.seed, most=most, audit=bool(args.audit))


def _name(given: str) -> str:
    """Whose decisions these are, as the page begins. Raises ``UsageError`` for what cannot be a name."""
    name = given or _of_system()
    try:
        return parsed({"sample_id": "x", "action": "keep", "who": name}).who
    except Refused as error:
        raise UsageError(f"--as: {error}; name somebody in at most {MOST_NAME} characters") from error


def _of_system() -> str:
    try:
        return getpass.getuser()[:MOST_NAME]
    except (OSError, KeyError):
        return "somebody"


def _serve(args: argparse.Namespace, asking: Asking, who: str) -> None:
    with serve(args.root, args.host, args.port, over=Judging.of(asking, who)) as served:
        answers = served.server.answers
        queued = len(answers.queued) if isinstance(answers, Judging) else 0
        print(f"review:   {served.url} ({plural(queued, 'sample')} in the queue; Ctrl-C ends it)", flush=True)
        if args.open:
            webbrowser.open(served.url)
        served.thread.join()


def _csv(store: Store, target: str) -> int:
    if not store.exists(RECIPE):
        raise UsageError(f"{shown(store.url)} is no root: it has no {RECIPE}; name the root of a dataset")
    reviews = read_all(store)
    with nullcontext(sys.stdout) if target == "-" else Path(target).open("w", encoding="utf-8", newline="") as file:
        count = write_csv(reviews, file)
    if target != "-":
        print(f"{target}: {plural(count, 'decision')}")
    return 0


def _apply(store: Store) -> int:
    """Does the steps of a run from the decisions on; no model is asked but that of features, where there are any."""
    _, recipe = product_of(store)
    with hold(store):
        if not store.exists("release/SHA256SUMS"):
            raise UsageError(f"{shown(store.url)} has no release yet; a run makes one, and honours what was decided")
        for step in _steps(store):
            totals = step.run(store, LocalEngine(), lambda _: None)
            if totals.failed:
                failed = totals.failed[0]
                print(f"error: {failed.shard}: {printable(failed.error)}; the same command goes on", file=sys.stderr)
                return 1
        refresh(store)
        counts = conservation(store)
        if not counts.ok:
            raise LapidaryError(f"{store.url} does not add up: {counts}; this is a bug, please report it")
    if asks_for_report(recipe):
        write_quietly(store)
    print(f"release:  {counts}")
    return 0


def _steps(store: Store) -> list[Step]:
    steps = steps_of(store)[0]
    first = next(at for at, step in enumerate(steps) if isinstance(step, ReviewStep))
    return [step.ready(store) for step in steps[first:] if step.on]


if __name__ == "__main__":
    sys.exit(main())

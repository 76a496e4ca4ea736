"""The funnel under other thresholds: ``lapidary what-if ROOT --set scores.sharpness.min=40``; nothing is run."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict

import duckdb

from curation.core.errors import LapidaryError, UsageError
from curation.core.invocation import command_of
from curation.core.printable import plural, printable
from curation.core.root import open_root
from curation.what_if.write import Asked, spelt, what_if

MODULE = "flows.what_if"
_ABOUT = """
Tells what other thresholds would do to a root, from what is stored in it: nothing is fetched, no model is asked, no
table changes. Prints each line of the funnel that would change, and writes a page with the pictures nearest to each
threshold on either side (ROOT/report/what-if/index.html). Settings that change what a stage computes cannot be judged
so, and are refused by name.
"""


def describe(asked: Asked) -> Iterator[str]:
    """The answer in lines for people."""
    for d in asked.question.changed:
        yield f"{d.key}: {spelt(d.theirs)} -> {spelt(d.ours)}"
    found = asked.answer
    changed = [li for li in found.lines if li.change or li.fate == "kept"]
    width = max(len("stage"), *(len(li.stage) for li in changed), 0)
    reasons = max(len("reason"), *(len(li.reason) for li in changed), 0)
    yield ""
    yield f"{'stage':<{width}}  {'fate':<8}  {'reason':<{reasons}}  {'now':>11}  {'then':>11}  {'change':>11}"
    for li in changed:
        counts = f"{li.before:>11,}  {li.after:>11,}  {li.change:>+11,}"
        yield f"{li.stage:<{width}}  {li.fate:<8}  {li.reason:<{reasons}}  {counts}"
    yield ""
    yield f"{found.moved:,} of {plural(found.rows, 'row')} would end elsewhere."
    yield from found.notes()
    yield f"page:     {asked.page}"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog=command_of(MODULE), description=_ABOUT.strip())
    made.add_argument("root", help="the dataset's root: a folder or any fsspec URL")
    made.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="sets",
        help="a threshold to ask about; repeat it for more",
    )
    made.add_argument("--out", metavar="FOLDER", help="write the page into its folder what-if, not into the root")
    made.add_argument("--json", action="store_true", help="print the answer as one JSON object")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """The command line's exit code: 0, 1 where the root cannot be read, 2 for what cannot be asked."""
    args = parser().parse_args(argv)
    try:
        if not args.sets:
            raise UsageError("nothing is asked; name a threshold, for example --set source.min_aesthetic=5.5")
        store = open_root(args.root, shared=False)
        asked = what_if(store, args.sets, None if args.out is None else open_root(args.out, shared=False))
    except UsageError as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        return 2
    except (LapidaryError, OSError, duckdb.Error) as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        return 1
    if args.json:
        changed = {d.key: [d.theirs, d.ours] for d in asked.question.changed}
        print(json.dumps({"changed": changed, **asdict(asked.answer), "page": asked.page}, sort_keys=True))
    else:
        print("\n".join(map(printable, describe(asked))))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""A release on a dataset hub: ``lapidary publish ROOT --to hf://datasets/ORG/NAME``."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Sequence

import huggingface_hub  # noqa: F401  # where it is missing, the command says so before anything else

from curation.catalog import connect
from curation.core.errors import LapidaryError, UsageError
from curation.core.invocation import command_of
from curation.core.lock import hold
from curation.core.printable import plural, printable
from curation.core.root import RECIPE, open_root
from curation.core.store import Store, shown
from curation.products import product_of
from curation.publish.address import repository
from curation.publish.files import CARD, File, check_card, release_files
from curation.publish.plan import Plan, plan_of
from curation.publish.rights import Rights
from curation.publish.upload import HubError, Repository
from curation.release.versions import RELEASE
from flows.plain_lines import plain_warnings

MODULE = "flows.publish"
_ABOUT = """
Sends the release of ROOT to a dataset's repository on the Hugging Face hub, which is made, private, where there is
none. What is there already is not sent again: a publish that was interrupted goes on, and a second one of the same
release sends nothing. The token is that of HF_TOKEN, or of hf auth login. Refused where the release holds pixels
whose licences forbid that, or name none.
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog=command_of(MODULE), description=_ABOUT.strip())
    made.add_argument("root", help="the dataset's root: a folder or any fsspec URL")
    made.add_argument("--to", required=True, metavar="hf://datasets/ORG/NAME", help="the repository")
    made.add_argument(
        "--public", action="store_true", help="make the repository public; one that is there stays as it is"
    )
    made.add_argument("--dry-run", action="store_true", help="list what would be sent and removed; nothing is changed")
    made.add_argument(
        "--unknown-licences",
        action="store_true",
        help="publish pixels whose licence is not known too: you say that you have the right to",
    )
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """The command line's exit code: 0; 1 where the hub fails or a file cannot be read; 2 for what is refused."""
    args = parser().parse_args(argv)
    try:
        target = Repository(repository(args.to))
        store = open_root(args.root, shared=False)
        if not store.exists(RECIPE):
            raise UsageError(f"{shown(args.root)} is no root: it has no {RECIPE}; name the root of a dataset")
        with contextlib.nullcontext() if args.dry_run else hold(store):
            _publish(store, target, args)
    except UsageError as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        return 2
    except (LapidaryError, OSError) as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the same command goes on", file=sys.stderr)
        return 130
    return 0


def _publish(store: Store, target: Repository, args: argparse.Namespace) -> None:
    files = release_files(store)
    check_card(store.read(RELEASE + CARD), [file.name for file in files])
    if _holds_pixels(store):
        with connect(store.url) as connection:
            Rights.of(connection).check(unknown_too=args.unknown_licences)
    if args.dry_run:
        _show(store, files, target, "public" if args.public else "private")
        return
    there = target.listing(_say)
    plan = plan_of(store, files, there or {})
    if there is None:
        print(f"repository: {target.create(private=not args.public)} ({'public' if args.public else 'private'})")
    with plain_warnings():
        target.send(store, plan, _tell)
    print(_summary(plan, target))


def _show(store: Store, files: Sequence[File], target: Repository, made: str) -> None:
    """Lists what would be sent. Raises ``HubError`` behind it, where nobody can tell what is there already."""
    try:
        there = target.listing(_say, tries=1)
    except HubError:
        plan = plan_of(store, files, {})
        print("\n".join([*plan.lines(), f"{_to_be(plan)} at most: what is there already could not be asked"]))
        raise
    plan = plan_of(store, files, there or {})
    made = f", which would be made {made}" if there is None else ""
    print("\n".join([*plan.lines(), _summary(plan, target, "to be ", made)]))


def _to_be(plan: Plan, done: str = "to be ") -> str:
    return f"{plural(len(plan.send), 'file')} {done}sent ({plan.bytes:,} bytes)"


def _holds_pixels(store: Store) -> bool:
    _, recipe = product_of(store)
    return bool(getattr(getattr(recipe, "export", None), "images", False))


def _say(line: str) -> None:
    print(printable(line), file=sys.stderr, flush=True)


def _tell(done: int, of: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{done / 1e6:,.0f} of {of / 1e6:,.0f} MB", end="" if done < of else "\n", file=sys.stderr, flush=True)


def _summary(plan: Plan, target: Repository, done: str = "", made: str = "") -> str:
    return (
        f"{_to_be(plan, done)}, {len(plan.remove):,} {done}removed, "
        f"{plan.same:,} there already: hf://datasets/{target.name}{made}"
    )


if __name__ == "__main__":
    sys.exit(main())

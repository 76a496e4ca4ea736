"""Takes samples out of a root for good: ``lapidary takedown ROOT --url …``; with ``--reason … --yes`` it does it."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence

from curation.core.errors import LapidaryError, UsageError
from curation.core.invocation import command_of
from curation.core.lock import PENDING, Lock, hold
from curation.core.printable import first_words, plural, printable
from curation.core.root import RECIPE, open_root
from curation.core.store import Store, shown
from curation.exports.known import Known, forget, named
from curation.exports.whose import look, recognise
from curation.report.write import PAGE
from curation.sources.tombstones import OWN, read_own
from curation.takedown.asked import Asked
from curation.takedown.carry_out import carry_out, resume
from curation.takedown.choice import Choice, choose
from curation.takedown.copies import purge, release_copy
from curation.takedown.exports import left_in_exports, show_exports, take_from_exports
from curation.takedown.proof import Left, Traces, prove
from flows.report import write_quietly
from flows.versioning import remember
from schemas.tombstones import Tombstone

MODULE = "flows.takedown"
EXIT_OK, EXIT_LEFT, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130
_MOST = 200  # lines of samples, or of what is left
_ABOUT = """
Takes samples, all of the same url and their near duplicates out of a root: out of every table, the stored images, the
model's replies, the release, and the exports that the root knows of. It shows them first, and does it with --yes,
which wants a --reason. What stays is a tombstone without url and text (hashes, date, reason, reference): their rows
count as rejected for the reason taken_down, here and in every root whose recipe names the file in source.tombstones. An
interrupted takedown is ended by the same command, or by '{command} ROOT' alone.
"""


def take_down(
    root: str,
    reason: str = "",
    reference: str = "",
    urls: Sequence[str] = (),
    samples: Sequence[str] = (),
    hosts: Sequence[str] = (),
    hashes: Sequence[str] = (),
    likes: Sequence[str] = (),
    lists: Sequence[str] = (),
    also: Sequence[str] = (),
    date: str = "",
    yes: bool = False,
    forget_exports: Sequence[str] = (),
    verify: bool = False,
    wait_for_root: bool = False,
) -> dict[str, int]:
    """What the command does, with plain data: for scripts, and for a deployment of ``flows.takedown_flow``.

    ``also`` are copies of the release, such as old versions: with ``yes`` they lose all that the root has tombstones
    for. ``forget_exports`` are folders of exports that no longer exist. ``date`` is today where it is empty. Returns
    how many samples were found, how many tombstones the root has, and how many places of files hold something that was
    to be gone (without ``verify`` 0). ``reason`` is wanted with ``yes``. Raises ``LapidaryError``.
    """
    asked = Asked.of(
        reason=reason,
        reference=reference,
        date=date or time.strftime("%Y-%m-%d", time.gmtime()),
        urls=urls,
        samples=samples,
        hosts=hosts,
        hashes=hashes,
        likes=likes,
        lists=lists,
    )
    if yes:
        asked.check_reason()
    store = open_root(root, shared=False)
    if not store.exists(RECIPE):
        raise UsageError(f"{shown(root)} is no root: it has no {RECIPE}; name the folder that --root of a run named")
    copies = [release_copy(url) for url in also]
    with hold(store, wait=_say if wait_for_root else None, amid_takedown=True) as lock:
        had_page = store.exists(PAGE)
        gone = named(store, forget_exports)
        if yes or store.exists(PENDING):
            recognise(store)
        ended = resume(store, lock)
        if ended:
            print("a takedown that was interrupted has ended", flush=True)
        elif not (asked or verify or also or forget_exports):
            raise UsageError(f"nothing is named that is to be taken down; see {command_of(MODULE)} --help")
        choice = _chosen(store, asked, lock if yes else None) if asked else None
        stones = read_own(store)
        _elsewhere(store, copies if yes else (), stones, gone, yes=yes or ended)
        if had_page and not store.exists(PAGE):
            write_quietly(store)
        left = _all_left(store, copies, stones, choice if yes else None) if verify else []
    return {"samples": len(choice.goes) if choice else 0, "tombstones": len(stones), "left": len(left)}


def _elsewhere(
    store: Store, copies: Sequence[Store], stones: Sequence[Tombstone], gone: Sequence[Known], *, yes: bool
) -> None:
    """What a takedown does besides the root's own files: what the next version is compared with, exports and copies."""
    remember(store)
    for export in gone:
        forget(store, export)
        _print(f"forgotten: the export {export}")
    if not yes:
        show_exports(store, _print)
        return
    take_from_exports(store, _print)
    for copy in copies:
        print(f"taken down from {shown(copy.url)}: {plural(purge(copy, stones), 'sample')}", flush=True)


def _all_left(store: Store, copies: Sequence[Store], stones: Sequence[Tombstone], choice: Choice | None) -> list[Left]:
    """What is left in the root, in the copies that were named, and in its exports."""
    left = [one for place in (store, *copies) for one in _proved(place, stones, choice)]
    return [*left, *_proved_exports(store, stones, choice)]


def _chosen(store: Store, asked: Asked, lock: Lock | None) -> Choice:
    """Shows what goes and, with the lock, takes it down."""
    choice = choose(store, asked)
    for line in lines(choice):
        print(printable(line), flush=True)
    if lock is None:
        print("nothing was changed; with --yes and --reason they are taken down", flush=True)
    else:
        carry_out(store, choice, lock)
        print(f"taken down: {plural(len(choice.goes), 'sample')}; tombstones: {shown(store.path(OWN))}", flush=True)
        for line in _later(choice):
            _print(line)
    return choice


def _proved(store: Store, stones: Sequence[Tombstone], choice: Choice | None) -> list[Left]:
    """What is left in a root or a copy; of takedowns before this one only hashes are known."""
    texts, clear = (choice.texts, choice.clear) if choice is not None else ((), ())
    left = prove(store, Traces.of(stones, texts, clear))
    _print_left(left)
    if not left:
        print(f"verified: in no byte of {shown(store.url)} is anything left of what was taken down", flush=True)
    return left


def _proved_exports(store: Store, stones: Sequence[Tombstone], choice: Choice | None) -> list[Left]:
    """The same of the exports that the root knows of."""
    texts, clear = (choice.texts, choice.clear) if choice is not None else ((), ())
    left = left_in_exports(store, Traces.of(stones, texts, clear))
    _print_left(left)
    if not left and (count := sum(found.state == "there" for found in look(store))):
        print(f"verified: nor is anything left in its {count:,} exports", flush=True)
    return left


def _print_left(left: Sequence[Left]) -> None:
    for one in left[:_MOST]:
        print(printable(f"left    {one}"), flush=True)
    if len(left) > _MOST:
        print(f"left    and {len(left) - _MOST:,} more", flush=True)


def lines(choice: Choice) -> Iterator[str]:
    """What is printed of a choice: a line a sample, with why it goes."""
    for one in choice.goes[:_MOST]:
        where = one.url or "no url"
        yield f"{one.sample_id}  {one.why}  {where}  {first_words(one.text, 60)!r}"
    if len(choice.goes) > _MOST:
        yield f"and {len(choice.goes) - _MOST:,} more"
    for name in choice.absent[:_MOST]:
        yield f"not in this root: {name}"
    where = plural(len(choice.by_shard), "shard")
    yield f"{plural(len(choice.goes), 'sample')} in {where}; release shards: {len(choice.shards):,}"


def _later(choice: Choice) -> Iterator[str]:
    """That what was asked for has a tombstone although it is not here; a sample_id alone has none."""
    stones = [name for name in choice.absent if not name.startswith("sample ")]
    does = "fetches" if all(name.startswith(("url ", "host ")) for name in stones) else "keeps"
    if len(stones) == 1:
        yield f"not in this root: {stones[0]}; a tombstone stands for it, so that no later run {does} it"
    elif stones:
        yield f"not in this root: {len(stones):,}; a tombstone stands for each, so that no later run {does} them"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    about = _ABOUT.strip().format(command=command_of(MODULE))
    made = argparse.ArgumentParser(prog=command_of(MODULE), description=about)
    made.add_argument("root", help="the dataset's root: a folder or any fsspec URL")
    for option, name, metavar, told in (
        ("--url", "urls", "URL", "all samples of this url"),
        ("--sample", "samples", "ID", "this sample_id"),
        ("--host", "hosts", "HOST", "all samples of this host and of the domains below it, also those that come later"),
        ("--sha256", "hashes", "HEX", "the picture whose bytes, as fetched or as stored, have this sha256"),
        ("--like", "likes", "IMAGE", "all pictures near the one in this file"),
        ("--list", "lists", "FILE", "a url, sample_id or sha256 on each line; or the tombstones of another root"),
    ):
        made.add_argument(option, dest=name, action="append", default=[], metavar=metavar, help=f"{told}; repeatable")
    made.add_argument("--reason", default="", help="why, in a few words; --yes wants it, and it stays in the tombstone")
    made.add_argument("--reference", default="", help="the number of the case or letter; it stays in the tombstone")
    made.add_argument(
        "--also",
        action="append",
        default=[],
        metavar="FOLDER",
        help="a copy of the release, such as an old version: it loses all that the root has tombstones for; repeatable",
    )
    made.add_argument(
        "--forget-export",
        dest="forget_exports",
        action="append",
        default=[],
        metavar="FOLDER",
        help="an export of the root that no longer exists anywhere; repeatable",
    )
    made.add_argument(
        "--yes", action="store_true", help="take them down, for a --reason; without it they are shown alone"
    )
    made.add_argument(
        "--verify",
        action="store_true",
        help="look at every byte of the root, whether anything is left; exit code 1 if so",
    )
    made.add_argument("--wait-for-root", action="store_true", help="wait while another run has the root")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """The command line's exit code: 0, 1 where something is left or went wrong, 2 for what cannot be done."""
    args = parser().parse_args(argv)
    try:
        found = take_down(**vars(args))
        return EXIT_LEFT if found["left"] else EXIT_OK
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on", file=sys.stderr)
        return EXIT_INTERRUPTED
    except UsageError as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        return EXIT_USAGE
    except (LapidaryError, OSError) as error:
        print(f"error: {printable(str(error))}; begin the same command again", file=sys.stderr)
        return EXIT_LEFT


def _print(line: str) -> None:
    print(printable(line), flush=True)


def _say(line: str) -> None:
    print(printable(line), file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

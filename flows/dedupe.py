"""Finds duplicates within and across data sets: ``python -m flows.dedupe ROOT [ROOT …] [--against ROOT_OR_FOLDER]``."""

from __future__ import annotations

import argparse
import re
import shlex
import sys
import webbrowser
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from prefect import flow
from rich.console import Console
from rich.table import Table

from curation.core.errors import LapidaryError, ShardsFailed, UsageError
from curation.core.invocation import command_of
from curation.core.pipeline import Engine
from curation.core.printable import plural
from curation.core.recipes import document
from curation.core.root import open_root, resolve_recipe
from curation.core.run import Step
from curation.core.store import Store, shown
from curation.dedupe.across.cluster import members, page
from curation.dedupe.across.datasets import DataSet, open_data_set, place_of
from curation.dedupe.across.removed import REMOVED, Counts, chance, write_removed
from curation.dedupe.across.steps import HashPixels, Judge
from flows.announce import announce, publish_table
from flows.profiles import build_engine
from flows.request import add_run_options, run_option_words
from flows.tasks import EXIT_OK, EXIT_USAGE, dry_run_code, exit_code, handed, leave, run_steps, say_starting
from schemas.duplicates import FindDuplicates, Verdict
from schemas.records import ImageRow, SourceRow

MODULE = "flows.dedupe"
_ABOUT = """
Finds duplicates within and across data sets.

ROOTs are roots of ours, img2dataset's output, or any tars or folders of images, the preferred one first. No data set
is changed: --out gets the table verdicts (one row an image: kept, or the reason and the keeper) and
report/removed.csv. '{command} explain ROOT SAMPLE_ID' shows a cluster with its pictures.
"""


@dataclass(frozen=True)
class Request:
    """The options of one run; plain data, as a Prefect deployment stores it."""

    roots: tuple[str, ...]
    out: str = "runs/duplicates"
    against: tuple[str, ...] = ()
    recipe: str | None = None
    settings: tuple[str, ...] = ()
    profile: str = "local"
    engine: str = "ray"
    wait_for_root: bool = False

    def parameters(self) -> dict[str, Any]:
        """The flow's parameters."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    def command(self) -> str:
        """The command line that asks for the same."""
        words = [*command_of(MODULE).split(), *self.roots, "--out", self.out]
        for other in self.against:
            words += ["--against", other]
        return shlex.join([*words, *run_option_words(self)])


@dataclass(frozen=True)
class Prepared:
    """A request whose sources, recipe and engine were checked."""

    store: Store
    engine: Engine
    recipe: FindDuplicates
    data_sets: tuple[DataSet, ...]
    against: tuple[DataSet, ...]

    def steps(self) -> list[Step]:
        """Hash what has not been hashed, judge, and name every removal."""
        return [
            HashPixels((*self.data_sets, *self.against)),
            Judge(self.recipe, self.data_sets, self.against),
        ]

    def failed_in(self) -> tuple[str, ...]:
        """The roots that know of failed shards: pixels are hashed into roots of their own."""
        stores = [self.store, *(d.store for d in (*self.data_sets, *self.against) if not d.ours)]
        tables = (SourceRow.table, ImageRow.table, Verdict.table)
        return tuple(s.url for s in stores if any(s.failures(table) for table in tables))


def prepare(request: Request) -> Prepared:
    """Checks all that can be checked before work. Raises ``UsageError``."""
    store = open_root(request.out, shared=request.engine == "ray")
    recipe = resolve_recipe(FindDuplicates, store, request.recipe, request.settings)
    if recipe.dedupe.crops:
        raise UsageError("dedupe.crops is for refining flows, which hash the parts of each image; leave it out here")
    named = _each_once(request.roots, [*request.against, *recipe.decontamination.sets])
    opened = [open_data_set(url, store) for url in named]
    split = len(request.roots)
    engine = build_engine(request.profile, request.engine)
    return Prepared(store, engine, recipe, tuple(opened[:split]), tuple(opened[split:]))


def _each_once(roots: Sequence[str], against: Sequence[str]) -> list[str]:
    """All data sets, an evaluation set that is named again but once. Raises ``UsageError`` for any other."""
    evaluation: dict[str, str] = {}
    for url in against:
        evaluation.setdefault(place_of(url), url)
    known: dict[str, str] = {}
    for place, url in [*((place_of(url), url) for url in roots), *evaluation.items()]:
        if place in known:
            raise UsageError(f"{url} is named twice, first as {known[place]}; an image would be a duplicate of itself")
        known[place] = url
    return list(known.values())


@flow(name="dedupe", persist_result=False)
def dedupe(
    roots: list[str],
    out: str = "runs/duplicates",
    against: list[str] | None = None,
    recipe: str | None = None,
    settings: list[str] | None = None,
    profile: str = "local",
    engine: str = "ray",
    wait_for_root: bool = False,
) -> dict[str, int]:
    """Decides on every image of the data sets; returns how many stay and how many go.

    Raises ``ShardsFailed`` after everything else is done.
    """
    request = Request(
        *(
            tuple(roots),
            out,
            tuple(against or ()),
            recipe or None,
            tuple(settings or ()),
            profile,
            engine,
            wait_for_root,
        )
    )
    prepared = handed(Prepared) or prepare(request)
    record = run_steps(
        *(prepared.store, prepared.engine, prepared.recipe, prepared.steps(), request.command()), wait=wait_for_root
    )
    if record.failed:
        raise ShardsFailed(record.failed, prepared.failed_in())
    counts = write_removed(prepared.store)
    kept = sum(counts.kept(url) for url in roots)
    found = {"kept": kept, "removed": counts.images() - kept}
    by_root: list[dict[str, str | int]] = [
        {"root": shown(url), "images": counts.images(url), "kept": counts.kept(url)} for url in roots
    ]
    publish_table("duplicates", by_root, "images of each data set, and how many of them stay")
    announce("run.completed", prepared.store, found)
    return found


def describe(prepared: Prepared) -> str:
    """What would happen. Touches nothing."""
    lines = [f"out         {prepared.store.url}{'' if prepared.store.exists('recipe.toml') else ' (new)'}"]
    known = 0
    for role, data_sets in (("data set", prepared.data_sets), ("against", prepared.against)):
        for data_set in data_sets:
            images = sum(e.rows_out for e in data_set.store.entries(ImageRow.table).values())
            known += images if role == "data set" else 0
            state = f"{plural(images, 'image')} with hashes" if images or data_set.ours else "to be hashed"
            lines.append(f"{role:<12}{data_set.url}: {state}")
    return "\n".join([*lines, f"chance      {chance(known, prepared.recipe.dedupe)}", "Nothing was written."])


def print_counts(prepared: Prepared, counts: Counts) -> None:
    """Images by data set and reason, and where to look."""
    console = Console()
    reasons = sorted({reason for _, reason in counts.of if reason})
    table = Table(title=plural(counts.images(), "image"), title_justify="left")
    table.add_column("data set")
    for name in ("images", "kept", *reasons):
        table.add_column(name, justify="right")
    for data_set in prepared.data_sets:
        url = data_set.url
        cells = [counts.images(url), counts.kept(url), *(counts.of.get((url, reason), 0) for reason in reasons)]
        table.add_row(url, *(f"{count:,}" for count in cells))
    console.print(table)
    out = shlex.quote(prepared.store.url)
    console.print(
        f"{chance(counts.images(), prepared.recipe.dedupe)}\nremovals: {prepared.store.url}/{REMOVED}\n"
        f"look:     {command_of(MODULE)} explain {out} SAMPLE_ID",
        highlight=False,
        markup=False,
    )


def explain(argv: Sequence[str]) -> int:
    """``explain ROOT SAMPLE_ID``: writes the page and says where it is."""
    parser = argparse.ArgumentParser(
        prog=f"{command_of(MODULE)} explain",
        description="Writes an HTML page of a sample's cluster: its keeper, the removed images and their distances.",
    )
    parser.add_argument("root", help="a root of ours, or the --out of a run of this command")
    parser.add_argument("sample_id", help="the image's sample_id, or an item of report/removed.csv")
    parser.add_argument("--html", help="file for the page (default ./SAMPLE_ID.html)")
    parser.add_argument("--open", action="store_true", help="show it in a browser")
    args = parser.parse_args(argv)
    try:
        found = members(args.root, args.sample_id)
        # Ids of roots by others may be any text.
        path = Path(args.html or f"{re.sub('[^0-9A-Za-z_-]', '_', found.sample.sample_id)[:100]}.html")
        path.write_text(page(found), encoding="utf-8")
    except (LapidaryError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_USAGE
    print(f"{path}: {plural(len(found.verdicts), 'image')} in its cluster")
    if args.open:
        webbrowser.open(path.resolve().as_uri())
    return EXIT_OK


def parser() -> argparse.ArgumentParser:
    """The command line. Its help documents every recipe key from where it is declared."""
    parser = argparse.ArgumentParser(
        prog=command_of(MODULE),
        description=_ABOUT.format(command=command_of(MODULE)).strip(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="recipe keys (TOML tables and keys, or --set table.key=value):\n\n" + document(FindDuplicates),
    )
    parser.add_argument("roots", nargs="+", metavar="ROOT", help="data sets, the preferred one first")
    parser.add_argument("--out", default="runs/duplicates", help="root for the verdicts (default %(default)s)")
    parser.add_argument(
        "--against", action="append", default=[], metavar="ROOT_OR_FOLDER", help="an evaluation set; may be repeated"
    )
    add_run_options(parser, "the recipe of --out")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """The command line's exit code: 0 done, 1 failed shards, 2 wrong from the start, 130 interrupted."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["explain"]:
        return explain(words[1:])
    args = parser().parse_args(words)
    request = Request(
        *(tuple(args.roots), args.out, tuple(args.against), args.recipe, tuple(args.settings)),
        *(args.profile, args.engine, args.wait_for_root),
    )
    if args.dry_run:
        return dry_run_code(lambda: describe(prepare(request)))
    say_starting(request.engine)
    return exit_code(
        *(request.out, request.command()),
        lambda: prepare(request),
        lambda: dedupe(**request.parameters()),
        ending=_ending,
    )


def _ending(prepared: Prepared) -> int:
    if prepared.store.shards(Verdict.table):
        print_counts(prepared, write_removed(prepared.store))
    return EXIT_OK


if __name__ == "__main__":
    leave(main())

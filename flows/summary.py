"""What a run will do, and its result, printed for people."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from curation.blocklists.rows import RowLists
from curation.core.invocation import command_of
from curation.core.printable import plural, printable
from curation.core.run import Step
from curation.core.store import Store
from curation.counts import Counts, counts_of
from curation.release.remedies import warnings
from curation.report.write import PAGE
from curation.sources.plan_stage import Planning
from curation.sources.preview import Preview, preview
from flows.json_lines import as_json, tell
from flows.outlook import describe_work
from schemas.part import Part


def describe(steps: Sequence[Step], store: Store, recipe: Part, *, ray: bool) -> str:
    """What would happen: rows by dialect, the metadata filters' funnel, what is finished, and what the rest may take.

    Touches nothing. ``steps`` are ready to run; ``ray`` says whether Ray's workers would run them.
    """
    lines = [f"root        {store.url}{'' if store.exists('recipe.toml') else ' (new)'}"]
    seen: Preview | None = None
    for planning in steps:
        if not isinstance(planning, Planning) or planning.sources is None:
            continue
        seen = preview(planning.sources, planning.recipe, blocked=RowLists.of(planning.lists), store=store)
        lines += [f"source      {_rows(rows)} of {dialect}" for dialect, rows in seen.rows.items()]
        lines += [f"columns     {printable(columns)} ({printable(name)})" for columns, name in seen.columns]
        lines += [f"not read    {printable(note)}" for note in seen.unread]
        lines += [f"damaged     {error}; its shard will fail" for error in seen.damaged]
        lines += [f"shards      {seen.shards:>12,} of up to {planning.recipe.shard_rows:,} rows"]
        if not seen.exact:
            lines += [f"judged      {_rows(seen.judged)}; what follows is an estimate from them"]
        lines += [f"  no text   {_rows(seen.without_text)}"]
        lines += [f"  no url    {_rows(seen.without_url)}, nor a local image"]
        lines += [f"  repeated  {_rows(seen.duplicates)} with the image and text of an earlier one"]
        for step in seen.funnel:
            lines += [f"  rejected  {step.rejected:>12,} {step.reason}, {step.left:,} left"]
    lines += [line for step in steps for line in step.outlook(store)]
    lines += ["", *describe_work(steps, store, seen, recipe, ray=ray)]
    return "\n".join([*lines, "Nothing was fetched and nothing was written."])


def _rows(count: int) -> str:
    return f"{count:>12,} {'row' if count == 1 else 'rows'}"


def funnel(counts: Counts) -> list[dict[str, str | int]]:
    """Every source row by stage, fate and reason, in the order of the stages."""
    return [{**asdict(row), "reason": row.reason or ""} for row in counts.funnel]


def print_warnings(store: Store) -> bool:
    """Warns, on stderr, of a release that is empty or lost most rows to one reason; whether there was such."""
    found = warnings(counts_of(store).funnel)
    for line in found:
        if as_json():
            tell(line, "warning")
            continue
        Console(stderr=True).print(f"warning: {line}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    return bool(found)


def print_summary(store: Store, console: Console | None = None) -> None:
    """The funnel of a root, from source to release, and where to look."""
    _print_summary(store, counts_of(store), console or Console())


def _print_summary(store: Store, counts: Counts, console: Console) -> None:
    steps = funnel(counts)
    total = sum(int(step["rows"]) for step in steps)
    table = Table(title=plural(total, "source row"), title_justify="left")
    for name in ("stage", "fate", "reason"):
        table.add_column(name)
    table.add_column("rows", justify="right")
    table.add_column("share", justify="right")
    for step in steps:
        rows = int(step["rows"])
        cells = (str(step[name]) for name in ("stage", "fate", "reason"))
        table.add_row(*cells, f"{rows:,}", f"{rows / max(1, total):.1%}")
    console.print(table)
    if gone := str(counts.gone):
        console.print(gone, highlight=False)
    for repeated in counts.captions:
        console.print(
            f"warning: {repeated.images:,} different images have the same caption, which a fault of the model explains "
            f"best: {printable(repeated.text[:200])!r}",
            style="yellow",
            markup=False,
        )
    for opening in counts.openings:
        console.print(
            f"warning: captions of {opening.images:,} different images begin with {printable(opening.text)!r}",
            style="yellow",
            markup=False,
        )
    for split in counts.splits:
        console.print(
            f"{split.split}: {plural(split.samples, 'sample')} in {plural(split.shards, 'shard')}", highlight=False
        )
    kept = any(step["fate"] == "kept" for step in steps)
    query = (
        "select alt_text, caption from samples where fate = 'kept'"
        if kept
        else "select stage, reason, detail, count(*) from samples group by all order by 4 desc"
    )
    console.print(
        f"release:  {store.url}/release ({', '.join(_beside_tars(store))})\n"
        f'ask:      {command_of("curation.catalog")} {shlex.quote(store.url)} "{query}"',
        highlight=False,
        markup=False,
        soft_wrap=True,  # a command is to be copied whole
    )
    if store.exists(PAGE):
        console.print(f"look:     {store.url}/{PAGE}", highlight=False, markup=False, soft_wrap=True)


def _beside_tars(store: Store) -> list[str]:
    """Files and folders of the release besides its tars."""
    sums = "release/SHA256SUMS"
    listed = store.read(sums).decode().splitlines() if store.exists(sums) else []
    names = {name + slash for name, slash, _ in (line.partition("  ")[2].partition("/") for line in listed)}
    return sorted({*(n for n in names if not n.endswith(".tar")), "SHA256SUMS"})

"""``python -m flows.demo``: serves the demo world on 127.0.0.1 and refines it, as a first look at everything."""

from __future__ import annotations

import argparse
import errno
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from curation.core.errors import LapidaryError, UsageError
from curation.core.invocation import command_of
from curation.core.printable import printable
from curation.core.recipes import EXAMPLE
from curation.core.store import Store
from curation.demo.claims import Claim
from curation.demo.judge import Judgement
from curation.demo.released import ReleaseScore, Sample, TextScore, score_release, telling
from curation.demo.vocabulary import KINDS
from curation.demo.web import LAST_PORT, TRUTH, DemoWeb
from flows import refine_laion
from flows.json_lines import tell
from flows.profiles import ENGINES, ENGINES_SAID
from flows.summary import print_summary
from flows.tasks import EXIT_USAGE, leave

_MOST_FALSE = 6  # false statements that are spelled out below a text
_ASPECTS = {"tone": "background tones", "text": "written words"}


def print_examples(samples: Sequence[Sample], console: Console) -> None:
    """Each sample's alt text, its caption, and what is false in them."""
    if not samples:
        return
    title = f"{len(samples)} pictures: what they came with, and what the captioner wrote"
    table = Table(title=title, title_justify="left", padding=(0, 1))
    table.add_column("", no_wrap=True)
    table.add_column("true", justify="right", no_wrap=True)
    table.add_column("false", justify="right", no_wrap=True)
    table.add_column("text", ratio=1, overflow="fold")
    for sample in samples:
        _add(table, "before", sample.alt_text, sample.before)
        _add(table, "after", sample.caption, sample.after)
        table.add_section()
    console.print(table)


def print_quality(score: ReleaseScore, console: Console) -> None:
    """Recall and hallucination before and after, over all and by what the alt text is like."""
    title = f"quality: {score.after.texts:,} released samples against the demo world's truth"
    if not score.after.texts:
        console.print("quality: nothing was released, so there is nothing to score", highlight=False)
        return
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for name in ("alt text", "caption"):
        table.add_column(name, justify="right")
    for name, before, after in quality_rows(score.before, score.after):
        table.add_row(name, before, after)
    table.add_section()
    for category, (alt_text, caption) in score.by_category.items():
        table.add_row(f"recall where the alt text is: {category}", f"{alt_text.recall:.1%}", f"{caption.recall:.1%}")
    console.print(table)


def quality_rows(before: TextScore, after: TextScore) -> list[tuple[str, str, str]]:
    """The figures by name, those of alt texts and those of captions."""
    rows = [
        ("recall: true facts that the text states", f"{before.recall:.1%}", f"{after.recall:.1%}"),
        ("hallucination: false among what it states", f"{before.hallucination:.1%}", f"{after.hallucination:.1%}"),
        ("texts with anything false", f"{before.with_false:.1%}", f"{after.with_false:.1%}"),
        ("true facts a text", f"{before.stated:.2f}", f"{after.stated:.2f}"),
        ("false statements a text", f"{before.false:.2f}", f"{after.false:.2f}"),
    ]
    for aspect, recall in after.by_aspect.items():
        rows.append(
            (f"recall of {_ASPECTS.get(aspect, f'{aspect}s')}", f"{before.by_aspect[aspect]:.1%}", f"{recall:.1%}")
        )
    return rows


def _add(table: Table, when: str, text: str, judged: Judgement) -> None:
    true = f"{len(judged.stated)}/{len(judged.facts)}"
    table.add_row(when, true, str(len(judged.false)), Text(printable(text).strip() or "(empty)"))
    if judged.false:
        table.add_row("", "", "", Text(f"false: {_false_statements(judged.false)}", style="red"))


def _false_statements(false: Iterable[Claim]) -> str:
    """The false statements in a few words each, the worst first: objects that are not there, then wrong attributes."""
    order = ("object", "text", "background", "tone", "count", "colour", "relation", "place", "size")
    ranked = sorted(false, key=lambda c: (order.index(c.aspect) if c.aspect in order else len(order), c))
    shown = [_statement(c) for c in ranked[:_MOST_FALSE]]
    more = len(ranked) - len(shown)
    return "; ".join([*shown, *([f"and {more} more"] if more else [])])


def _statement(claim: Claim) -> str:
    match claim.aspect:
        case "object":
            return f"{'an' if claim.subject[0] in 'aeiou' else 'a'} {claim.subject}"
        case "absent":
            return f"no {claim.subject}"
        case "text":
            return f'the word "{printable(claim.value)}"'
        case "no text":
            return "no written word"
        case "background" | "tone":
            return f"{claim.value} behind it all"
        case "relation":
            return f"{claim.subject} {claim.value} {claim.other}"
        case "place":
            return f"{claim.subject} {claim.value.replace('any', '').strip()}"
        case "count":
            return f"{claim.value} {claim.subject if claim.value == '1' else KINDS[claim.subject].plural}"
        case "colour" | "size":
            return f"{claim.value} {claim.subject}"


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
    parser.add_argument("--engine", choices=ENGINES, default="ray", help=f"{ENGINES_SAID} (default %(default)s)")
    parser.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help=f"one recipe key of refine, e.g. {EXAMPLE}; may be repeated",
    )
    args = parser.parse_args(argv)
    folder = Path(args.root + "-source")
    with ExitStack() as serving:
        try:
            web = serving.enter_context(served(args.seed, args.scenes, args.port))
        except UsageError as error:
            tell(f"error: {error}", "error")
            return EXIT_USAGE
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


@contextmanager
def served(seed: int, scenes: int, port: int) -> Iterator[DemoWeb]:
    """The demo web, served while entered. Raises ``UsageError`` for numbers and ports that cannot be served.

    A busy port is not left for a free one: it stands in the list's urls, and so in the root.
    """
    try:
        web = DemoWeb(seed=seed, scenes=scenes, port=port)
        web.__enter__()
    except ValueError as error:
        raise UsageError(str(error)) from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UsageError(
                f"port {port} on 127.0.0.1 is in use, perhaps by another demo; let that end, or name another port: "
                f"--port {port + 1 if port < LAST_PORT else PORT} (urls hold the port, so a root keeps to its own)"
            ) from error
        raise UsageError(
            f"cannot listen on port {port} of 127.0.0.1 ({error.strerror or error}); name another: --port {PORT}"
        ) from error
    try:
        yield web
    finally:
        web.__exit__(None, None, None)


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

"""``python -m flows.dense_prompts score``: asks a vision-language model the questions about generated images."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
from rich.console import Console
from rich.table import Table
from rich.text import Text

from curation.core.errors import LapidaryError, UsageError
from curation.core.invocation import command_of
from curation.core.printable import plural, printable
from curation.core.recipes import document, load
from curation.core.store import Store, encoded
from curation.dense_prompts.questions import as_yes_no
from curation.dense_prompts.release_stage import Item, read_release
from curation.dense_prompts.scoring.answers import Answered, Asker
from curation.dense_prompts.scoring.pictures import find_pictures
from curation.dense_prompts.scoring.scores import Score, scores, tallies
from schemas.prompt_scores import ScorePrompts
from schemas.reasons import Reason

_ABOUT = """
Asks a vision-language model the questions about generated images, and scores them.

Images are called ITEM_N.png (or .jpg, .webp), N from 0, or ITEM.png for a 2x2 grid of four; ITEM is a prompt's
item_id. A question whose parent is not answered as expected counts as failed. Replies are kept in --out: the same
command again asks only for what is missing. --out gets scores.json and answers.parquet.
"""
_GROUPS = {"all": "", "prompts": "prompts: ", "questions": "questions: "}


def parser(module: str) -> argparse.ArgumentParser:
    """The command line. Its help documents every key."""
    made = argparse.ArgumentParser(
        prog=f"{command_of(module)} score",
        description=_ABOUT.strip(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="keys (--set table.key=value, or a TOML file):\n\n" + document(ScorePrompts),
    )
    made.add_argument("--images", required=True, metavar="FOLDER", help="the folder of generated images")
    made.add_argument("--prompts", required=True, metavar="RELEASE", help="the prompts' root, or its release")
    made.add_argument("--out", metavar="FOLDER", help="where scores and replies go (default IMAGES-scores)")
    made.add_argument("--recipe", help="a TOML file with the keys below")
    made.add_argument(
        "--set", dest="settings", action="append", default=[], metavar="KEY=VALUE",
        help="one key, e.g. interval.draws=2000; may be repeated",
    )  # fmt: skip
    return made


def main(module: str, argv: Sequence[str]) -> int:
    """The exit code: 0 done; 1 some questions got no reply, the same command asks again; 2 wrong from the start."""
    args = parser(module).parse_args(argv)
    out = args.out or f"{args.images.rstrip('/')}-scores"
    try:
        recipe = load(ScorePrompts, args.recipe, args.settings)
        return _run(recipe, Path(args.images), Path(args.prompts), Store(out))
    except UsageError as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        return 2
    except LapidaryError as error:
        print(f"error: {printable(str(error))}; run the same command again to go on", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\ninterrupted; replies are kept in {out}, the same command goes on", file=sys.stderr)
        return 130


def _run(recipe: ScorePrompts, images: Path, prompts: Path, store: Store) -> int:
    console = Console()
    items = {item.item_id: item for item in read_release(prompts)}
    pictures, strange = find_pictures(images, items, recipe.images.grid)
    if not pictures:
        raise UsageError(
            f"{images} holds no image of these prompts: none of {plural(len(strange), 'image file')} is called "
            f"ITEM_N.png or ITEM.png, such as {next(iter(items), 'ITEM')}_0.png; rename them"
        )
    asker = Asker.of(recipe.answer)
    answers = list(asker.answers(store, pictures, items))
    store.write("answers.parquet", encoded(_table(answers)))
    lost = Counter(a.detail or "" for a in answers if a.reason is Reason.MODEL_ERROR)
    if lost:
        why, times = lost.most_common(1)[0]
        print(
            f"{lost.total():,} of {len(answers):,} questions got no reply ({times:,} of them: {printable(why)}); "
            "run the same command again to ask for them",
            file=sys.stderr,
        )
        return 1
    found = scores(tallies(answers, items), items, recipe.interval)
    store.write("scores.json", _json(found, items, len(pictures), asker))
    print_scores(found, console)
    _tell(console, answers, items, strange, {p.item_id for p in pictures})
    print(f"stored:   {store.url}/scores.json, answers.parquet")
    return 0


def print_scores(found: Sequence[Score], console: Console) -> None:
    """The scores with their intervals."""
    table = Table(title="share of questions answered as expected, parents included", title_justify="left")
    table.add_column("of", no_wrap=True)
    for name in ("score", "from", "to", "prompts", "questions"):
        table.add_column(name, justify="right")
    group = ""
    for score in found:
        if group and score.group != group:
            table.add_section()
        group = score.group
        figures = (f"{100 * v:.1f}" for v in (score.score, score.low, score.high))
        table.add_row(Text(_GROUPS[score.group] + score.name), *figures, f"{score.prompts:,}", f"{score.questions:,}")
    console.print(table)


def _tell(
    console: Console, answers: Sequence[Answered], items: dict[str, Item], strange: list[str], pictured: set[str]
) -> None:
    """What was not scored, or could not be."""
    said = []
    if missing := len(items) - len(pictured):
        said.append(f"{missing:,} of {len(items):,} prompts have no image and are not scored")
    if strange:
        said.append(f"{plural(len(strange), 'image file')} of no prompt, e.g. {printable(strange[0])}")
    if unusable := sum(a.reason is not None for a in answers):
        said.append(f"{unusable:,} of {len(answers):,} replies could not be used and count as no")
    for line in said:
        console.print(f"note: {line}", markup=False, highlight=False)


def _json(found: Sequence[Score], items: dict[str, Item], pictures: int, asker: Asker) -> bytes:
    return json.dumps(
        {
            "prompts": len(items),
            "images": pictures,
            "model": dataclasses.asdict(asker.identity),
            "prompt": asker.prompt.label,
            "scores": [dataclasses.asdict(score) for score in found],
        },
        indent=1,
        sort_keys=True,
    ).encode()


def _table(answers: Sequence[Answered]) -> pa.Table:
    return pa.table(
        {
            "item_id": [a.picture.item_id for a in answers],
            "image": pa.array([a.picture.number for a in answers], pa.int32()),
            "question_id": pa.array([a.question.id for a in answers], pa.int32()),
            "question": [as_yes_no(a.question) for a in answers],
            "yes": [a.yes for a in answers],
            "probability": pa.array([a.probability for a in answers], pa.float64()),
            "reason": pa.array([None if a.reason is None else a.reason.value for a in answers], pa.string()),
        }
    )

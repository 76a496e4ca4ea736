"""How well a recogniser finds the named entities of captions that were labelled by hand.

python -m curation.news.score                                                  the embedded rules
python -m curation.news.score --recogniser spacy --model en_core_web_sm        a name or a folder
python -m curation.news.score --recogniser gliner --model urchade/gliner_medium-v2.1
python -m curation.news.score --recogniser llm --model demo
python -m curation.news.score --recogniser llm --model NAME --set llm.backend=server \\
    --set 'llm.endpoints=["http://127.0.0.1:8000/v1"]'
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from curation.caption.model.open import build_model, check_model
from curation.caption.prompts import load as load_prompt
from curation.core.errors import SourceError, UsageError
from curation.core.recipes import load
from curation.news.asking import AskingRecogniser, text_need
from curation.news.recognisers import Recogniser, identify, open_recogniser, wanted
from curation.news.spans import Span
from schemas.anchor import BuildAnchor
from schemas.replies import NamedEntities

_DATA = Path(__file__).parent / "data"
TUNED = _DATA / "labelled.txt"  # the rules were tuned on these captions
HELD_OUT = _DATA / "held_out.txt"  # and never on these
_MARK = re.compile(r"\[([^\[\]|]+)\|([A-Z_]+)\]")


@dataclass(frozen=True)
class Labelled:
    """A caption with its true entities; every second one is held back from tuning."""

    outlet: str
    caption: str
    entities: tuple[Span, ...]
    held_back: bool


@dataclass(frozen=True)
class Measure:
    """Shares of what was found and of what is there; their harmonic mean."""

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class Accuracy:
    """By exact span, whatever the label; and by exact span with its label."""

    spans: Measure
    labelled: Measure


def read_labelled(file: Path = TUNED) -> list[Labelled]:
    """The captions of a file: a line each, the outlet, a tab, and the caption with ``[text|LABEL]`` for entities.

    Empty lines and lines that begin with # count for nothing. Raises ``SourceError``.
    """
    try:
        lines = [line for line in file.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{file} cannot be read as labelled captions: {error}") from error
    told = [line.split("\t") for line in lines]
    if not told or any(len(parts) != 2 for parts in told):
        raise SourceError(
            f"{file} holds no labelled captions; expected lines of outlet, tab, caption with [text|LABEL]"
        )
    return [_parse(outlet, marked, held_back=n % 2 == 1) for n, (outlet, marked) in enumerate(told)]


def accuracy(found: Iterable[Sequence[Span]], captions: Sequence[Labelled]) -> Accuracy:
    """What a recogniser found in the captions, a list each, against what is there."""
    spans = labels = said = true = 0
    for told, item in zip(found, captions, strict=True):
        by_place = {(s.start, s.end): s.label for s in told}
        real = {(s.start, s.end): s.label for s in item.entities}
        both = by_place.keys() & real.keys()
        spans += len(both)
        labels += sum(by_place[place] == real[place] for place in both)
        said += len(by_place)
        true += len(real)
    return Accuracy(_measure(spans, said, true), _measure(labels, said, true))


@contextmanager
def recogniser_of(recipe: BuildAnchor) -> Iterator[tuple[str, Recogniser]]:
    """The recipe's recogniser with its name, open. Raises ``UsageError``."""
    if recipe.entities.recogniser != "llm":
        identity = identify(recipe.entities)
        yield f"{identity.name}@{identity.revision}", open_recogniser(recipe.entities)
        return
    identity = check_model(recipe.llm)
    prompt = load_prompt(recipe.entities.prompt)
    needs = [text_need(prompt, recipe.entities.max_tokens, NamedEntities)]
    model = build_model(recipe.llm, identity, needs=needs)
    try:
        yield (
            f"llm:{identity.name}@{identity.revision}",
            AskingRecogniser(model, recipe.llm, prompt, recipe.entities.max_tokens),
        )
    finally:
        model.close()


def _parse(outlet: str, marked: str, *, held_back: bool) -> Labelled:
    text, spans, at = "", [], 0
    for mark in _MARK.finditer(marked):
        text += marked[at : mark.start()]
        spans.append(Span(len(text), len(text) + len(mark.group(1)), mark.group(2)))
        text += mark.group(1)
        at = mark.end()
    return Labelled(outlet, text + marked[at:], tuple(spans), held_back)


def _measure(right: int, said: int, true: int) -> Measure:
    return Measure(right / max(1, said), right / max(1, true), 2 * right / max(1, said + true))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m curation.news.score", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("captions", nargs="?", type=Path, default=TUNED, help="a file of captions labelled by hand")
    parser.add_argument("--recogniser", choices=("rules", "spacy", "gliner", "llm"), default="rules")
    parser.add_argument("--model", default="", help="name or folder of the pipeline, checkpoint or model")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE", help="recipe key")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints one row of a table. Exit code 2 with one line on stderr for what cannot be measured."""
    told = _parser().parse_args(arguments)
    key = "llm.model" if told.recogniser == "llm" else "entities.model"
    settings = [f"entities.recogniser={told.recogniser}", *([f"{key}={told.model}"] if told.model else [])]
    try:
        recipe = load(BuildAnchor, None, ["abstraction.literal=false", *settings, *told.settings])
        captions = read_labelled(told.captions)
        with recogniser_of(recipe) as (name, recogniser):
            started = time.monotonic()
            found = [wanted(recipe.entities, s) for s in recogniser.recognise([item.caption for item in captions])]
            seconds = time.monotonic() - started
    except UsageError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    measured = accuracy(found, captions)
    figures = (f"{v:.3f}" for m in (measured.spans, measured.labelled) for v in (m.precision, m.recall, m.f1))
    sys.stdout.write("| recogniser | precision | recall | F1 | with label: precision | recall | F1 | captions/s |\n")
    sys.stdout.write(f"| {name.split('+')[0]} | {' | '.join(figures)} | {len(captions) / seconds:.0f} |\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

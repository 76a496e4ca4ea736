"""Dialects of image-text lists, told apart by their columns, and what any of them may say of a row.

One list's ``TEXT`` is another's ``caption``: a *role* is what a column means here, and it is looked up
under every name that the known lists have for it, whatever the case. Column names and meanings are those
of the data sets' cards. Two scores where a list has both CLIP sizes: ViT-B/32 is read, as in LAION, so
that one limit means the same for every dialect. LAION-400M's ``NSFW`` is a class (UNLIKELY, UNSURE,
NSFW), not a probability: its rows have an unknown ``punsafe``. LAION's ``hash`` is of url and text, not
of pixels, and is left alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Annotated, ClassVar

from curation.core.errors import SourceError
from schemas.arrow import Record
from schemas.reasons import Reason


@dataclasses.dataclass(frozen=True, slots=True)
class Claim(Record):
    """What a source says of one row, before any filter judged it."""

    table: ClassVar[str] = "claims"

    url: Annotated[str | None, "where the image is"] = None
    alt_text: Annotated[str | None, "the text that came with it"] = None
    width: Annotated[float | None, "pixels"] = None
    height: Annotated[float | None, "pixels"] = None
    similarity: Annotated[float | None, "CLIP image-text similarity"] = None
    aesthetic: Annotated[float | None, "aesthetic score"] = None
    punsafe: Annotated[float | None, "probability of unsafe content"] = None
    pwatermark: Annotated[float | None, "probability of a watermark"] = None
    language: Annotated[str | None, "language"] = None
    license: Annotated[str | None, "licence"] = None
    md5: Annotated[str | None, "of the original bytes, hex"] = None
    sha256: Annotated[str | None, "of the original bytes, hex"] = None
    content: Annotated[str | None, "stands for the url of a local image that never had one"] = None
    local_file: Annotated[str | None, "fsspec URL of the file or tar with the pixels"] = None
    local_offset: Annotated[int | None, "bytes from the start of that file"] = None
    local_size: Annotated[int | None, "bytes"] = None
    fault: Annotated[Reason | None, "why the row cannot be used, whatever the filters say"] = None
    note: Annotated[str | None, "what was found wrong with the row"] = None


TEXT_ROLES = ("url", "alt_text", "language", "license", "md5", "sha256")
NUMBER_ROLES = ("width", "height", "similarity", "aesthetic", "punsafe", "pwatermark")

# Lower-case column names by role; the first that is there is read.
NAMES: dict[str, tuple[str, ...]] = {
    "url": ("url",),
    "alt_text": ("text", "caption", "alt_text"),
    "width": ("original_width", "width"),
    "height": ("original_height", "height"),
    "similarity": (
        "similarity",
        "clip_b32_similarity_score",
        "clip_similarity_vitb32",
        "clip_l14_similarity_score",
        "clip_similarity_vitl14",
    ),
    "aesthetic": ("aesthetic", "aesthetic_score", "aesthetic_score_laion_v2"),
    "punsafe": ("punsafe", "nsfw_score_opennsfw2"),
    "pwatermark": ("pwatermark", "watermark_score"),
    "language": ("language", "lang"),
    "license": ("license",),
    "md5": ("md5",),
    "sha256": ("sha256",),
}


@dataclasses.dataclass(frozen=True)
class Dialect:
    """A list is in this dialect when it has all columns of one of the ``marks``; other columns are free."""

    name: str
    marks: tuple[frozenset[str], ...]


def _dialect(name: str, *marks: str) -> Dialect:
    return Dialect(name, tuple(frozenset(m.split()) for m in marks))


# The first that fits is taken, so the narrower stand above the wider.
DIALECTS = (
    _dialect("laion-400m", "url text height width nsfw"),
    _dialect("coyo-700m", "url text clip_similarity_vitb32", "url text aesthetic_score_laion_v2"),
    _dialect("datacomp", "uid url text"),
    _dialect("img2dataset", "url caption key status error_message"),
    _dialect("re-laion", "url caption punsafe"),
    _dialect("laion-aesthetics", "url text aesthetic", "url text aesthetic_score"),
    _dialect("laion-2b", "url text width height similarity"),
    _dialect("cc12m", "url caption"),
    _dialect("url-text", "url text"),
)

IMG2DATASET = "img2dataset"
CC12M = "cc12m"


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where a file's columns stand: its dialect, and (role, column name as written) pairs."""

    dialect: str
    roles: tuple[tuple[str, str], ...]


def roles_of(columns: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Which column plays which role; roles that none plays are left out."""
    written = {c.casefold(): c for c in reversed(columns)}
    return tuple(
        (role, written[found])
        for role, names in NAMES.items()
        if (found := next((n for n in names if n in written), None)) is not None
    )


def recognise(columns: Sequence[str], where: str) -> Layout:
    """The layout of a list with these columns.

    Raises ``SourceError`` for an unknown dialect, or when two columns differ in case alone.
    """
    folded = [c.casefold() for c in columns]
    present = set(folded)
    fitting = next((d for d in DIALECTS if any(m <= present for m in d.marks)), None)
    if fitting is None:
        shown = ", ".join(c if len(c) <= 60 else c[:57] + "..." for c in columns[:40])
        known = "; ".join(f"{d.name} ({', '.join(sorted(d.marks[0]))})" for d in DIALECTS)
        raise SourceError(
            f"{where} is in no known dialect. Columns found: {shown or 'none'}. "
            f"Known dialects and the columns that mark them, in any case: {known}. Rename the columns to match one"
        )
    roles = roles_of(columns)
    for role, column in roles:
        if folded.count(column.casefold()) > 1:
            twins = [c for c in columns if c.casefold() == column.casefold()]
            raise SourceError(f"{where} has several columns for the {role}: {twins}; keep one of them")
    return Layout(fitting.name, roles)

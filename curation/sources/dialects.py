"""Dialects of image-text lists, recognised by their columns.

The same value has another column name in every list: one has ``TEXT``, another ``caption``. A *role* is what a
column means to this project; each role knows the column names of the public lists, in any case. Names and
meanings come from the cards of the data sets. Where a list has both CLIP scores, ViT-B/32 is read, as in LAION,
so that one limit means the same in every dialect. LAION-400M's ``NSFW`` is a class (UNLIKELY, UNSURE, NSFW) and
no probability, so its rows have an unknown ``punsafe``. LAION's ``hash`` covers url and text, not the pixels, and
is not read.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from urllib.parse import unquote

from curation.core.errors import SourceError

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
    """A list has this dialect when it has all columns of one of the ``marks``; it may have more columns."""

    name: str
    marks: tuple[frozenset[str], ...]


def _dialect(name: str, *marks: str) -> Dialect:
    return Dialect(name, tuple(frozenset(m.split()) for m in marks))


# The first match wins, so that narrow dialects stand above wide ones.
DIALECTS = (
    _dialect("laion-400m", "url text height width nsfw"),
    _dialect("coyo-700m", "url text clip_similarity_vitb32", "url text aesthetic_score_laion_v2"),
    _dialect("datacomp", "uid url text"),
    _dialect("img2dataset", "url caption key status error_message"),
    _dialect("re-laion", "url caption punsafe"),
    _dialect("laion-aesthetics", "url text aesthetic", "url text aesthetic_score"),
    _dialect("laion-2b", "url text width height similarity"),
    _dialect("cc12m", "url caption"),
    _dialect("url-text", "url text", "url alt_text"),
)

CC12M = "cc12m"


@dataclasses.dataclass(frozen=True)
class Layout:
    """The columns of a file: its dialect, and pairs of role and column name as written."""

    dialect: str
    roles: tuple[tuple[str, str], ...]


def roles_of(columns: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Pairs of role and column; a role without a column is left out."""
    written = {c.casefold(): c for c in reversed(columns)}
    return tuple(
        (role, written[found])
        for role, names in NAMES.items()
        if (found := next((n for n in names if n in written), None)) is not None
    )


def recognise(columns: Sequence[str], where: str) -> Layout:
    """The layout of a list with these columns.

    Raises ``SourceError`` for an unknown dialect, or when two columns of one role differ only in case.
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


# A partition describes all rows of its folder, so it cannot be a row's own url, text or hash.
_PARTITIONED = tuple(role for role in NAMES if role not in ("url", "alt_text", "md5", "sha256"))
_HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"


def path_roles(url: str) -> tuple[tuple[str, str], ...]:
    """Pairs of role and value from folders called ``key=value``, such as ``language=de``; the innermost wins.

    The caller uses them only for roles that the file itself has no column for.
    """
    found: dict[str, str] = {}
    for folder in url.partition("?")[0].split("/")[:-1]:
        key, sign, value = folder.partition("=")
        role = next((r for r in _PARTITIONED if key.casefold() in NAMES[r]), None)
        if sign and role is not None and "=" not in value:
            found[role] = unquote(value)
    return tuple((role, value) for role, value in found.items() if value and value != _HIVE_NULL)

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
    """A list has this dialect when it has all columns of one of the ``marks``; it may have more columns.

    ``columns`` are those of roles whose columns have names that no other dialect has; of several columns of one role
    the first that is not empty counts.
    """

    name: str
    marks: tuple[frozenset[str], ...]
    columns: tuple[tuple[str, str], ...] = ()


def _dialect(name: str, *marks: str, columns: tuple[tuple[str, str], ...] = ()) -> Dialect:
    return Dialect(name, tuple(frozenset(m.split()) for m in marks), columns)


_WIT_TEXTS = ("caption_reference_description", "caption_alt_text_description", "caption_attribution_description")

# The first match wins, so that narrow dialects stand above wide ones.
DIALECTS = (
    _dialect("laion-400m", "url text height width nsfw"),
    _dialect("coyo-700m", "url text clip_similarity_vitb32", "url text aesthetic_score_laion_v2"),
    _dialect("datacomp", "uid url text"),
    _dialect("img2dataset", "url caption key status error_message"),
    _dialect("re-laion", "url caption punsafe"),
    _dialect("laion-aesthetics", "url text aesthetic", "url text aesthetic_score"),
    _dialect("laion-2b", "url text width height similarity"),
    _dialect("redcaps", "image_id author url caption subreddit"),
    _dialect(
        "wit",
        "image_url page_url caption_reference_description",
        columns=(("url", "image_url"), *(("alt_text", name) for name in _WIT_TEXTS)),
    ),
    _dialect("coco", "coco_url captions", columns=(("url", "coco_url"), ("alt_text", "captions"))),
    _dialect("url-caption", "url caption"),
    _dialect("url-text", "url text", "url alt_text"),
)

URL_CAPTION = "url-caption"
"""The dialect of CC12M, of CC3M and of many a list of anybody's own."""


@dataclasses.dataclass(frozen=True)
class Layout:
    """The columns of a file: its dialect, and pairs of role and column name as written.

    Besides the roles of ``NAMES`` there are ``path`` (of a local image) and ``image`` (embedded). A role may have
    several columns: the first that is not empty counts. ``kept`` are further columns that are kept; ``note`` says
    what was guessed.
    """

    dialect: str
    roles: tuple[tuple[str, str], ...]
    kept: tuple[str, ...] = ()
    note: str | None = None

    def column(self, role: str) -> str | None:
        """The role's first column."""
        return next((column for name, column in self.roles if name == role), None)

    @property
    def has_pixels(self) -> bool:
        """Whether the images are at hand, so that nothing has to be fetched."""
        return any(role in ("image", "path") for role, _ in self.roles)


def roles_of(columns: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Pairs of role and column; a role without a column is left out."""
    written = {c.casefold(): c for c in reversed(columns)}
    return tuple(
        (role, written[found])
        for role, names in NAMES.items()
        if (found := next((n for n in names if n in written), None)) is not None
    )


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

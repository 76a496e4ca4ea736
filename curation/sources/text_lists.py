"""Lists without columns (.txt): an address or the path of an image a line, alone or with its text behind it.

Between the two may stand a tab, a bar, or blanks; behind the ending of an image file also a comma or semicolon. Blank
lines and lines that begin with ``#`` are no rows.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO

import pyarrow as pa

from curation.core.errors import DamagedSource
from curation.sources.dialects import Layout
from curation.sources.encodings import UNREADABLE, open_text
from curation.sources.line_records import bare, lines_of, text_of
from curation.sources.local_images import LocalImages
from curation.sources.options import PLAIN, Options
from curation.sources.sidecars import IMAGE_EXTENSIONS
from curation.sources.source_metadata import metadata_table

BATCH = 10_000
_LOOK = 100  # lines by which a list is recognised
_ENDINGS = "|".join(sorted(IMAGE_EXTENSIONS))
_ADDRESS = re.compile(r"\s*(https?://[^\s|]+)\s*\|?\s*", re.IGNORECASE)
_BARE = re.compile(r"\s*https?://[^\s,;|]+\s*", re.IGNORECASE)
_FILE_END = re.compile(rf"\.(?:{_ENDINGS})(?:#\d+)?(?=\s*(?:[\t|,;]|$))", re.IGNORECASE)
_ERRORS = (*UNREADABLE, ValueError)


@dataclass(frozen=True)
class TextList:
    """A list of addresses or, with the role ``path`` in its layout, of local images."""

    layout: Layout


def recognise_text(url: str) -> TextList | None:
    """How to read the file, from its first lines; None where they are neither addresses nor paths of images."""
    try:
        with open_text(url) as file:
            lines = list(itertools.islice(_rows(file), _LOOK))
    except _ERRORS:
        return None
    for role, name in (("url", "urls"), ("path", "paths")):
        found = [pair for line in lines if (pair := split_line(line, role)) is not None]
        if lines and 2 * len(found) > len(lines):
            texts = any(text for _, text in found)
            roles = ((role, "0"), *((("alt_text", "1"),) if texts else ()))
            return TextList(Layout(f"{name} with texts" if texts else name, roles))
    return None


def recognise_bare(url: str) -> TextList | None:
    """How to read a list of addresses and nothing else, whatever its name; None for any other file."""
    try:
        with open_text(url) as file:
            lines = list(itertools.islice(_rows(file), _LOOK))
    except _ERRORS:
        return None
    bare_lines = lines and all(_BARE.fullmatch(line) for line in lines)
    return TextList(Layout("urls", (("url", "0"),))) if bare_lines else None


def split_line(line: str, role: str) -> tuple[str, str] | None:
    """The address (role ``url``) or the path (role ``path``) of a line, and its text; None for any other line."""
    end = _FILE_END.search(line)
    if role == "url":
        found = _ADDRESS.match(line)
        if found is None:
            return None
        if end is not None and end.end() < len(found[1]) and "?" not in line[: end.end()]:
            # A comma may belong to an address; then there is mostly more of the path behind it.
            rest = line[end.end() :].lstrip(" ,;")
            if any(c.isspace() for c in rest) or "/" not in rest:
                return line[: end.end()].strip(), rest.strip()
        return found[1], line[found.end() :].strip()
    if end is None or "://" in line[: end.end()].removeprefix("file://"):
        return None
    return re.sub(r"#\d+$", "", line[: end.end()].strip()), line[end.end() :].lstrip("\t |,;").strip()


def read_text(
    url: str,
    how: TextList,
    start: int = 0,
    end: int | None = None,
    *,
    options: Options = PLAIN,
) -> Iterator[pa.Table]:
    """Tables of ``SourceMetadata`` for the rows [start, end), in order. Raises ``DamagedSource``."""
    images = LocalImages(url, options)
    try:
        with open_text(url) as file:
            wanted = itertools.islice(_rows(file), start, end)
            while batch := list(itertools.islice(wanted, BATCH)):
                yield _table(batch, how, images)
    except _ERRORS as error:
        raise DamagedSource(f"{url} cannot be read to its end: {error}; fetch the file again") from error


def _rows(file: IO[bytes]) -> Iterator[str]:
    for line in lines_of(file):
        text = text_of(bare(line))
        if text.strip() and not text.lstrip().startswith("#"):
            yield text


def _table(lines: Sequence[str], how: TextList, images: LocalImages) -> pa.Table:
    role = how.layout.roles[0][0]
    pairs = [split_line(line, role) or (line.strip(), "") for line in lines]
    first, texts = ([part.encode("utf-8", "surrogateescape") for part in side] for side in zip(*pairs, strict=True))
    columns = {"alt_text": pa.array(texts, pa.binary())}
    if role == "url":
        return images.located(metadata_table({**columns, "url": pa.array(first, pa.binary())}, len(lines)), None)
    return images.located(metadata_table(columns, len(lines)), [p.decode("utf-8", "replace") for p in first])

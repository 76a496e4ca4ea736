"""Find captions that many different images share, as a broken gateway or a model that sees no image writes them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import duckdb

MORE_THAN = 5
WORST = 10
_OTHER = re.compile(r"[\W_]+")
# The same key as ``_key``, computed by DuckDB, which groups more texts than fit into memory.
_QUERY = """
SELECT any_value(text ORDER BY image, text), count(DISTINCT image) AS images
FROM (
    SELECT text, trim(lower(regexp_replace(text, '[^\\p{L}\\p{N}]+', ' ', 'g'))) AS key,
        coalesce(i.sha256, c.sample_id) AS image  -- a caption without an image in the table counts by sample
    FROM captions c LEFT JOIN images i USING (sample_id)
    WHERE text IS NOT NULL
)
WHERE key <> '' GROUP BY key HAVING images > ? ORDER BY images DESC, key LIMIT ?
"""


@dataclass(frozen=True, slots=True)
class Repeated:
    """A caption, in one of its spellings, and the number of different images that have it."""

    text: str
    images: int


def repeated(captions: Iterable[tuple[str, str]], more_than: int = MORE_THAN) -> list[Repeated]:
    """The texts of (text, image) pairs that more than ``more_than`` different images share, most images first.

    Texts are the same when their letters and digits are, whatever their case, blanks and punctuation; a text
    without letter or digit is ignored.
    """
    spelled: dict[str, tuple[str, str]] = {}
    images: dict[str, set[str]] = {}
    for text, image in captions:
        key = _key(text)
        if key:
            spelled[key] = min(spelled.get(key, (image, text)), (image, text))
            images.setdefault(key, set()).add(image)
    worst = sorted((k for k, seen in images.items() if len(seen) > more_than), key=lambda k: (-len(images[k]), k))
    return [Repeated(spelled[k][1], len(images[k])) for k in worst]


def repeated_captions(
    catalog: duckdb.DuckDBPyConnection, more_than: int = MORE_THAN, most: int = WORST
) -> list[Repeated]:
    """The ``most`` worst repeated captions of a root, by the views ``captions`` and ``images`` of its catalog."""
    return [Repeated(text, images) for text, images in catalog.execute(_QUERY, [more_than, most]).fetchall()]


def _key(text: str) -> str:
    return _OTHER.sub(" ", text).strip().lower()

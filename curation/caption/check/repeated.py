"""Find captions that many different images share, as a broken gateway or a model that sees no image writes them.

The card, the summary of a run and the reduce ``caption_repeats`` count with the same SQL.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import duckdb

MORE_THAN = 5
WORST = 10
_OTHER = re.compile(r"[\W_]+")
_UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"
_OPENINGS = """
SELECT text, max(images) AS images FROM caption_repeats WHERE shared = 'opening'
GROUP BY text ORDER BY images DESC, text LIMIT ?
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


def text_key(text: str) -> str:
    """SQL: what spellings of one text have in common, as ``_key`` has it; null where that is nothing."""
    return rf"nullif(trim(lower(regexp_replace({text}, '[^\p{{L}}\p{{N}}]+', ' ', 'g'))), '')"


def opening_key(text: str, fewest: int, most: int) -> str:
    """SQL: the first words of a text, ``most`` of them at most; null where it has less than ``fewest``.

    They are in lower case and without punctuation. Two characters count as a word in scripts that do not separate
    words. Only the first 400 characters are looked at.
    """
    spaced = rf"regexp_replace(left({text}, 400), '[^\p{{L}}\p{{M}}\p{{N}}]+', ' ', 'g')"
    split = rf"regexp_replace(regexp_replace({spaced}, '({_UNSPACED}{{2}})', '\1 ', 'g'), '\s+', ' ', 'g')"
    return rf"nullif(regexp_extract(trim(lower({split})), '^(?:\S+ ){{{fewest - 1},{most - 1}}}\S+'), '')"


def shared(relation: str, more_than: int, text: str = "any_value(text ORDER BY image, text)") -> str:
    """SQL: the keys that more than ``more_than`` different images of a relation (key, image) have.

    ``text`` is an aggregate that shows one of the texts with a key.
    """
    return (
        f"SELECT key, count(DISTINCT image) AS images, {text} AS text "  # noqa: S608  # expressions of our own
        f"FROM {relation} WHERE key IS NOT NULL GROUP BY key HAVING images > {int(more_than)}"
    )


def repeated_captions(
    catalog: duckdb.DuckDBPyConnection, more_than: int = MORE_THAN, most: int = WORST
) -> list[Repeated]:
    """The ``most`` worst repeated captions of a root, by the views ``captions`` and ``images`` of its catalog."""
    query = f"SELECT text, images FROM ({shared(_REPLIES, more_than)}) ORDER BY images DESC, key LIMIT ?"  # noqa: S608
    return [Repeated(text, images) for text, images in catalog.execute(query, [most]).fetchall()]


def repeated_openings(catalog: duckdb.DuckDBPyConnection, most: int = WORST) -> list[Repeated]:
    """The ``most`` worst repeated openings of a root, by the view ``caption_repeats`` of its catalog."""
    return [Repeated(text, images) for text, images in catalog.execute(_OPENINGS, [most]).fetchall()]


def _key(text: str) -> str:
    return _OTHER.sub(" ", text).strip().lower()


_REPLIES = f"""(
    SELECT text, {text_key("text")} AS key,
        coalesce(i.sha256, c.sample_id) AS image  -- a caption without an image in the table counts by sample
    FROM captions c LEFT JOIN images i USING (sample_id)
)"""  # noqa: S608  # of our own

"""Decisions as CSV, for spreadsheets and other programs."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Iterable
from typing import TextIO

from schemas.arrow import columns
from schemas.reviews import Review

_FORMULAS = ("=", "+", "-", "@", "\t", "\r")
_COUNTED = ("words", "clip_tokens", "sentence_end_77")
COLUMNS = tuple(c.name for c in columns(Review) if c.name not in _COUNTED)


def write_csv(reviews: Iterable[Review], file: TextIO) -> int:
    """Writes a header and a line for each decision, in their order; how many. Answers are ``true`` and ``false``.

    A text that a spreadsheet would take for a formula begins with an apostrophe: captions are texts of strangers.
    """
    out = csv.writer(file, lineterminator="\n")
    out.writerow(COLUMNS)
    count = 0
    for review in reviews:
        row = dataclasses.asdict(review)
        out.writerow([_cell(row[name]) for name in COLUMNS])
        count += 1
    return count


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULAS) else text

"""The captions that were labelled by hand for this project."""

from __future__ import annotations

from functools import cache

from curation.news.score import Labelled, read_labelled


@cache
def labelled() -> tuple[Labelled, ...]:
    return tuple(read_labelled())

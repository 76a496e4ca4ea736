"""The captions that were labelled by hand for this project."""

from __future__ import annotations

from functools import cache

from curation.news.score import HELD_OUT, TUNED, Labelled, read_labelled


@cache
def labelled() -> tuple[Labelled, ...]:
    """The captions that the rules were tuned on."""
    return tuple(read_labelled(TUNED))


@cache
def held_out() -> tuple[Labelled, ...]:
    """The captions that no rule was tuned on."""
    return tuple(read_labelled(HELD_OUT))

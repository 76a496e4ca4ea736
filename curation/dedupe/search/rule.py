"""When two images count as the same: by pHash alone, or confirmed by a second hash."""

from __future__ import annotations

from curation.dedupe.search.bands import MAX_DISTANCE
from curation.dedupe.search.colours import COLOUR_WORDS
from curation.dedupe.search.kernels import Rule
from curation.dedupe.search.symmetry import TURNS

__all__ = ["Rule", "confirmed", "rule_of", "screening", "searched_words", "with_looks"]


def confirmed(
    alone: int, distance: int, second: int, *, symmetries: bool = False, views: int = 1, grey: bool = True
) -> Rule:
    """Near within ``alone`` bits of the first word, or within ``distance`` of it and ``second`` bits of the rest.

    With ``symmetries`` rows are those of ``curation.dedupe.search.symmetry.all_turns``, and mirrored and turned
    pictures are near too. With ``views`` above 1 each row holds that many hashes, first of the picture and then of its
    windows: a picture is near another one if its hash is near that of the picture or of a window. The second hash
    is ignored if a side has none (all zero). With ``distance`` below ``alone`` it is never used. ``grey``: a grey
    copy counts as the same where colours are compared (``with_looks``).
    """
    return Rule(max(alone, distance), alone, second, (TURNS if symmetries else 1) * views, 0, grey)


def with_looks(rule: Rule, *words: int) -> Rule:
    """The rule for rows that end with looks: colours, or colours and thumbnails; ``words`` are those of each side.

    It is the same rule where one of the sides has none.
    """
    return rule._replace(colours=min(words) if rule.alone >= 0 else 0)


def screening(rule: Rule) -> Rule:
    """The rule for the same rows without thumbnails: whatever may be near with them is near by this rule."""
    return rule._replace(colours=COLOUR_WORDS, screens=True) if rule.colours > COLOUR_WORDS else rule


def rule_of(distance: int | Rule) -> Rule:
    """A rule as it is, or the one of a plain distance. Raises ``ValueError`` for distances beyond 16 bits."""
    rule = distance if isinstance(distance, Rule) else Rule(distance, -1, 0)
    if not 0 <= rule.distance <= MAX_DISTANCE:
        raise ValueError(f"distance is {rule.distance}; Hamming distances from 0 to {MAX_DISTANCE} bits are supported")
    return rule


def searched_words(rule: Rule, words: int) -> int:
    """How many of a hash's words the search cuts into bands."""
    return words if rule.alone < 0 else 1

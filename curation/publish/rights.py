"""Whether licences let pixels be published. Known words are compared; nobody reads a licence here."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable
from dataclasses import dataclass

import duckdb

from curation.core.errors import UsageError
from curation.core.printable import first_words
from schemas.signals import SignalVerdict

_SHOWN = 3
_LONGEST = 60  # characters of a licence that are shown
# Images are resized and encoded anew: who forbids adaptations forbids these.
_NO_ADAPTATION = r"no[ -]?deriv|\bby(?:-nc)?-nd\b|/licenses/by(?:-nc)?-nd/|\bcc[ -]by(?:[ -]nc)?[ -]nd\b"
_RESERVED = (
    r"all rights? reserved|tous droits réservés|alle rechte vorbehalten|\bcopyright(?:ed)?\b|©|\(c\) ?\d|proprietary"
    r"|rights[ -]managed|no (?:re)?distribution|not? (?:be )?(?:re)?distribut|in[- ]copyright"
    r"|rightsstatements\.org/vocab/inc|editorial use"
)
_FORBIDS = re.compile(f"{_NO_ADAPTATION}|{_RESERVED}", re.I)
_LETS = re.compile(
    r"\bcc[ -]?0\b|\bcc[ -]by\b|creativecommons\.org/(?:licenses/by|publicdomain)|public[ -]?domain|\bpdm?\b"
    r"|\bby(?:-nc)?(?:-sa)?\b(?:[ -]\d|$)|attribution|\bno known copyright\b|rightsstatements\.org/vocab/nkc"
    r"|\bmit\b|\bapache\b|\bodc-by\b|\bodbl\b|\bus(?:a)? gov",
    re.I,
)
_NAMES_NONE = frozenset(("", "?", "unknown", "none", "null", "other", "n/a", "na", "unspecified"))
_OF_ROWS = "SELECT license, count(*) FROM placements GROUP BY license ORDER BY count(*) DESC, license"
_OF_IMAGES = f"""
SELECT verbatim, count(DISTINCT sample_id) FROM signals SEMI JOIN placements USING (sample_id)
WHERE verdict = '{SignalVerdict.LICENCE.value}' OR what IN ('dc:rights', 'xmpRights:UsageTerms')
GROUP BY verbatim ORDER BY 2 DESC, 1
"""  # noqa: S608  # of our own


class Says(enum.StrEnum):
    """What a licence says of publishing pixels."""

    LETS = "lets"
    FORBIDS = "forbids"
    UNKNOWN = "unknown"


def says(licence: str | None) -> Says:
    """What a licence says, by its known words: one that forbids goes before one that lets."""
    text = " ".join((licence or "").split())
    if text.lower() in _NAMES_NONE:
        return Says.UNKNOWN
    if re.search(r"no known copyright", text, re.I):
        return Says.LETS
    if _FORBIDS.search(text):
        return Says.FORBIDS
    return Says.LETS if _LETS.search(text) else Says.UNKNOWN


@dataclass(frozen=True)
class Rights:
    """Released samples by what their licences say, the licences with their counts, most frequent first.

    ``stated`` are licences that forbid, as hosts and image files state them.
    """

    forbidding: tuple[tuple[str, int], ...] = ()
    unknown: tuple[tuple[str, int], ...] = ()
    stated: tuple[tuple[str, int], ...] = ()

    @classmethod
    def of(cls, connection: duckdb.DuckDBPyConnection) -> Rights:
        """Those of a release, from the views of its root."""
        rows = [(str(text or ""), int(n)) for text, n in connection.execute(_OF_ROWS).fetchall()]
        views = {str(v) for (v,) in connection.execute("SELECT view_name FROM duckdb_views()").fetchall()}
        stated = connection.execute(_OF_IMAGES).fetchall() if "signals" in views else []
        return cls(
            tuple(r for r in rows if says(r[0]) == Says.FORBIDS),
            tuple(r for r in rows if says(r[0]) == Says.UNKNOWN),
            tuple((str(text), int(n)) for text, n in stated if says(str(text)) == Says.FORBIDS),
        )

    def check(self, *, unknown_too: bool) -> None:
        """Raises ``UsageError`` where pixels may not be published; ``unknown_too`` lets those of unknown licence."""
        instead = "set export.images = false and run again to publish addresses and texts without pixels"
        for where, found in (("", self.forbidding), (" as their hosts or files state them", self.stated)):
            if found:
                raise UsageError(
                    f"{_count(found)} released samples have licences{where} that reserve all rights or forbid "
                    f"adaptations ({_named(found)}); {instead}, or leave these rows out of the source"
                )
        if self.unknown and not unknown_too:
            raise UsageError(
                f"{_count(self.unknown)} released samples have no licence that is known ({_named(self.unknown)}); "
                f"{instead}, or say with --unknown-licences that you have the right to publish them"
            )


def _count(found: Iterable[tuple[str, int]]) -> str:
    return f"{sum(n for _, n in found):,}"


def _named(found: tuple[tuple[str, int], ...]) -> str:
    shown = [f"{first_words(text, _LONGEST) or 'none named'}: {n:,}" for text, n in found[:_SHOWN]]
    return "; ".join(shown) + (f"; {len(found) - _SHOWN} others" if len(found) > _SHOWN else "")

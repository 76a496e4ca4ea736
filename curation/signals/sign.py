"""One signal as it was found, and which of several decides."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from schemas.signals import SignalVerdict

MOST_CHARACTERS = 1000
"""Of a signal's text, as it is kept."""
MOST_SIGNS = 64
"""That are kept of one image."""
_STRICTEST_FIRST = (
    SignalVerdict.FORBIDS,
    SignalVerdict.CONSTRAINED,
    SignalVerdict.LICENCE,
    SignalVerdict.NOTICE,
    SignalVerdict.UNKNOWN,
    SignalVerdict.ALLOWS,
)


@dataclass(frozen=True, slots=True)
class Sign:
    """One signal. ``what`` is its kind, ``verbatim`` its text as it came.

    ``place`` and ``host`` say where it stood; parsers that do not know them leave them empty.
    """

    what: str
    verbatim: str
    verdict: SignalVerdict
    place: str = ""
    host: str = ""

    @property
    def evidence(self) -> str:
        """For people: the text and where it stood."""
        return f"{self.what} of {self.place or 'the response'}: {self.verbatim}"


def text_of(value: bytes | str) -> str:
    """A signal's text as it can be kept: UTF-8, or else Latin-1; cut, without NUL and lone surrogates."""
    text = value if isinstance(value, str) else _decoded(value[: 4 * MOST_CHARACTERS])
    return text[:MOST_CHARACTERS].replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def _decoded(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def leniency(verdict: SignalVerdict) -> int:
    """A verdict's place among all, 0 for the one that leaves the least to be done."""
    return _STRICTEST_FIRST.index(verdict)


def deciding(signs: Iterable[Sign], rejects: Collection[SignalVerdict]) -> Sign | None:
    """Of the signs that reject, the strictest, the first of several; None where none does."""
    found = [s for s in signs if s.verdict in rejects]
    return min(found, key=lambda s: leniency(s.verdict), default=None)


def packed(signs: Sequence[Sign]) -> bytes:
    """Signs as JSON, the same for the same signs: each once, at most ``MOST_SIGNS``."""
    distinct = list(dict.fromkeys(signs))[:MOST_SIGNS]
    return json.dumps([[s.what, s.verbatim, s.verdict.value, s.place, s.host] for s in distinct]).encode()


def unpacked(data: bytes) -> list[Sign]:
    """What ``packed`` was given. Raises ``ValueError`` for anything else."""
    return [Sign(what, text, SignalVerdict(verdict), *where) for what, text, verdict, *where in json.loads(data)]

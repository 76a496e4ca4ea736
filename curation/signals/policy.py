"""What a recipe looks for, and for which signs it rejects an image."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Self

from curation.signals.headers import RESERVATION, X_ROBOTS
from curation.signals.robots import DISALLOWED
from curation.signals.sign import Sign, deciding
from schemas.reasons import Reason
from schemas.recipe import Download
from schemas.signals import Signals, SignalVerdict

_FORMERLY = frozenset({X_ROBOTS, RESERVATION})  # what is looked for where signals are not


def token(user_agent: str) -> str:
    """Return the product token by which opt-outs name this fetcher: ``Lapidary/1.0 (+https://…)`` is ``lapidary``."""
    match = re.match(r"[A-Za-z0-9_-]+", user_agent.strip())
    return match.group().lower() if match else ""


@dataclass(frozen=True)
class Policy:
    """``own`` is our product token, ``others`` those of robots whose exclusion counts as well, all in lower case.

    ``of`` are the kinds of sign that are looked for in headers, None for all; ``robots``, ``tdmrep`` and ``image`` say
    whether the two files of a host and the bytes of an image are. What has one of the verdicts ``rejects`` rejects the
    image, where ``honours``; robots.txt does with ``obeys`` whatever else is said.
    """

    own: str
    others: tuple[str, ...]
    of: frozenset[str] | None
    robots: bool
    tdmrep: bool
    image: bool
    rejects: frozenset[SignalVerdict]
    honours: bool
    obeys: bool

    @classmethod
    def of_recipe(cls, download: Download, signals: Signals | None) -> Self:
        """Of a recipe's tables; without ``signals``, or where they are not enabled, ``download`` alone decides."""
        own = token(download.user_agent)
        if signals is None or not signals.enabled:
            forbids = frozenset({SignalVerdict.FORBIDS})
            honours, obeys = download.opt_out, download.robots_txt
            return cls(own, (), _FORMERLY, obeys, False, False, forbids, honours, obeys)
        others = tuple(sorted({name.lower() for name in signals.agents} - {own}))
        robots = signals.robots or download.robots_txt
        return cls(
            *(own, others, None, robots, signals.tdmrep, True),
            *(signals.rejects, download.opt_out, download.robots_txt),
        )

    @property
    def keeps(self) -> bool:
        """Whether what is found is kept."""
        return self.of is None

    @cached_property
    def agents(self) -> frozenset[str]:
        """All robots to which a scoped X-Robots-Tag may be addressed."""
        return frozenset({self.own, *self.others})

    def looked_for(self, signs: Iterable[Sign]) -> list[Sign]:
        """Those of the signs in a header that are looked for."""
        return [s for s in signs if self.of is None or s.what in self.of]

    def against(self, signs: Iterable[Sign]) -> Sign | None:
        """The strictest sign for which the image is rejected; None where there is none."""
        return deciding((s for s in signs if self._counts(s)), frozenset(SignalVerdict))

    def _counts(self, sign: Sign) -> bool:
        if self.obeys and sign.what == DISALLOWED and sign.verdict is SignalVerdict.FORBIDS:
            return True
        return self.honours and sign.verdict in self.rejects


def reason_of(sign: Sign) -> Reason:
    """Why an image is rejected for this sign."""
    if sign.verdict is not SignalVerdict.FORBIDS:
        return Reason.USE_RESTRICTED
    return Reason.ROBOTS_TXT if sign.what == DISALLOWED else Reason.OPTED_OUT


HONOURED = frozenset({Reason.OPTED_OUT, Reason.ROBOTS_TXT, Reason.USE_RESTRICTED})
"""Reasons that ``reason_of`` gives."""

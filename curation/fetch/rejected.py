"""The one exception of the fetcher, and the deadline that raises it."""

from __future__ import annotations

import time

from curation.signals.policy import reason_of
from curation.signals.sign import Sign
from schemas.reasons import Reason

_MOST = 500  # characters of evidence; all of it is in the table signals


class FetchRejected(Exception):
    """The fetch gave no bytes. ``Fetcher.fetch`` raises nothing else for a URL, a host or a response.

    ``status`` is that of the last response, ``final_url`` the URL that the last redirect led to, ``opt_out`` the header
    or rule that opted out, ``signs`` all that was said of rights on the way. ``transient`` says whether a retry may
    succeed, and ``retry_after`` after how many seconds the host asks for it.
    """

    def __init__(
        self,
        reason: Reason,
        detail: str,
        *,
        status: int | None = None,
        final_url: str | None = None,
        opt_out: str | None = None,
        transient: bool = False,
        retry_after: float = 0.0,
        signs: tuple[Sign, ...] = (),
    ) -> None:
        super().__init__(f"{reason.value}: {detail}")
        self.reason = reason
        self.detail = detail
        self.status = status
        self.final_url = final_url
        self.opt_out = opt_out
        self.transient = transient
        self.retry_after = retry_after
        self.signs = signs


def opted_out(sign: Sign, *, status: int | None = None, signs: tuple[Sign, ...] = ()) -> FetchRejected:
    """The rejection for a sign that the recipe honours; ``signs`` are all that were found, this one among them."""
    evidence = sign.verbatim if sign.what in sign.verbatim.lower() else sign.evidence
    return FetchRejected(reason_of(sign), evidence[:_MOST], status=status, opt_out=evidence[:_MOST], signs=signs)


def timed_out(doing: str) -> FetchRejected:
    """The rejection for a deadline that passed while ``doing`` something."""
    return FetchRejected(Reason.TIMEOUT, f"the deadline passed while {doing}", transient=True)


def left_until(deadline: float, doing: str) -> float:
    """Return the seconds until ``deadline`` (of ``time.monotonic``). Raises ``FetchRejected`` when there are none."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise timed_out(doing)
    return left

"""The one exception of the fetcher: there are no bytes, and why."""

from __future__ import annotations

import time

from schemas.reasons import Reason


class FetchRejected(Exception):
    """There are no bytes, and why: the only thing that ``Fetcher.fetch`` raises for a URL, host or response.

    ``status`` is that of the last response, ``final_url`` where a redirect led, ``opt_out`` the header or
    rule that opted out. ``transient`` says whether another try may fare better, and ``retry_after`` how
    long the host asked to be left alone first, in seconds.
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
    ) -> None:
        super().__init__(f"{reason.value}: {detail}")
        self.reason = reason
        self.detail = detail
        self.status = status
        self.final_url = final_url
        self.opt_out = opt_out
        self.transient = transient
        self.retry_after = retry_after


def timed_out(doing: str) -> FetchRejected:
    """The deadline passed while ``doing`` something."""
    return FetchRejected(Reason.TIMEOUT, f"the deadline passed while {doing}", transient=True)


def left_until(deadline: float, doing: str) -> float:
    """Seconds left until ``deadline`` (of ``time.monotonic``). Raises ``FetchRejected`` when there are none."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise timed_out(doing)
    return left

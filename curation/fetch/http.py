"""Fetches one URL behind the guard: checked address, total deadline, byte cap, opt-out, retries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from schemas.reasons import Reason
from schemas.recipe import Download

Resolve = Callable[[str], Sequence[str]]
"""A host name to all its addresses as literals; raises ``OSError`` when there is none."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A whole body. ``final_url`` is None where no redirect led away from the URL that was asked for.

    ``opt_out`` is the header that opted out, verbatim, where the recipe does not honour it; else None.
    """

    data: bytes
    status: int
    final_url: str | None = None
    opt_out: str | None = None


class FetchRejected(Exception):
    """There are no bytes, and why: the only thing that ``Fetcher.fetch`` raises for a URL, host or response."""

    def __init__(
        self,
        reason: Reason,
        detail: str,
        status: int | None = None,
        final_url: str | None = None,
        opt_out: str | None = None,
    ) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.status = status
        self.final_url = final_url
        self.opt_out = opt_out


class Fetcher:
    """Fetches URLs; safe to call from many threads, and meant to be kept for a worker's life."""

    def __init__(self, settings: Download, resolve: Resolve | None = None) -> None:
        self.settings = settings

    def fetch(self, url: str) -> Fetched:
        """The body behind the URL. Raises ``FetchRejected``, and nothing else for whatever a host does."""
        raise NotImplementedError

    def close(self) -> None:
        """Closes idle connections."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

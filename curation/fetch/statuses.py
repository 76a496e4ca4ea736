"""Statuses that bring no image, and when to ask again."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime

from curation.fetch.head import Head
from curation.fetch.rejected import FetchRejected
from schemas.reasons import Reason

_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_OWN_REASON = {status: Reason(f"http_{status}") for status in (400, 401, 403, 404, 410, 429, 451)}


def refused(head: Head) -> FetchRejected:
    """Classify a status that brings no image."""
    status = head.status
    if status in _OWN_REASON:
        reason = _OWN_REASON[status]
    elif 400 <= status < 500:
        reason = Reason.HTTP_4XX
    elif 500 <= status < 600:
        reason = Reason.HTTP_5XX
    else:
        reason = Reason.HTTP_UNEXPECTED
    transient = status in _TRANSIENT
    wait = _retry_after(head.get(b"retry-after")) if transient else 0.0
    return FetchRejected(reason, f"status {status}", status=status, transient=transient, retry_after=wait)


def _retry_after(value: bytes | None) -> float:
    """Seconds, from either form of Retry-After; 0 for anything else."""
    value = (value or b"").strip()
    if value.isdigit():
        return float(value[:9])
    try:
        return max(0.0, parsedate_to_datetime(value.decode("latin-1")).timestamp() - time.time())
    except (ValueError, OverflowError):
        return 0.0

"""Which lost rows point at a fault of the run, so that ``run.stop_at_share`` counts them.

A list brings links that are gone (404, 410), opt-outs, small and damaged pictures, however many: they never stop a
run. A network, proxy, name server, user agent or setting that is wrong shows in the reasons below.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from schemas.reasons import Reason
from schemas.records import ImageRow

FAULTS = frozenset(
    {
        # the network of this machine, its name server, its proxy, its certificates
        *(Reason.NAME_NOT_RESOLVED, Reason.CONNECTION_FAILED, Reason.TLS_FAILED, Reason.TIMEOUT, Reason.TRUNCATED),
        # settings: the user agent, requests a second, allow_private_hosts; or a name server that answers falsely
        *(Reason.HTTP_401, Reason.HTTP_403, Reason.HTTP_429, Reason.FORBIDDEN_ADDRESS),
        # a proxy or a sign-in page that answers in the place of every host; a mount that is not there
        *(Reason.HTTP_5XX, Reason.HTTP_UNEXPECTED, Reason.NOT_AN_IMAGE, Reason.FILE_MISSING),
    }
)


def fault_of(row: ImageRow) -> tuple[Reason | None, str | None]:
    """The reason and the detail that count against the run; null where the row is fine or the list's own loss."""
    return (None, None) if row.reason not in FAULTS or is_cut_image(row) else (row.reason, row.detail)


def is_cut_image(row: ImageRow) -> bool:
    """Whether a whole body held a truncated image, which is the list's own: a cut transfer has no known format."""
    return row.reason is Reason.TRUNCATED and row.original_format is not None


def host_of(url: str | None) -> str:
    """The host of a URL; empty for a local file and for what is no URL."""
    try:
        return urlsplit(url or "").hostname or ""
    except ValueError:
        return ""

"""Statistics beside each shard with img2dataset's keys, less its times: the same rows give the same bytes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

from schemas.reasons import Reason
from schemas.records import ImageRow

_PIXELS = frozenset(
    {
        Reason.EMPTY_BODY,
        Reason.NOT_AN_IMAGE,
        Reason.UNSUPPORTED_FORMAT,
        Reason.TOO_MANY_PIXELS,
        Reason.UNDECODABLE,
        Reason.ANIMATED,
        Reason.TOO_SMALL,
        Reason.ASPECT,
    }
)


def statistics(rows: Sequence[ImageRow]) -> bytes:
    """JSON: count, successes, failed_to_download, failed_to_resize, and status_dict, the commonest first."""
    counts = Counter("success" if row.reason is None else row.reason.value for row in rows)
    resized = sum(row.reason in _PIXELS for row in rows)
    told = {
        "count": len(rows),
        "successes": counts["success"],
        "failed_to_download": len(rows) - counts["success"] - resized,
        "failed_to_resize": resized,
        "status_dict": dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])) if rows else {}),
    }
    return json.dumps(told, indent=4).encode()

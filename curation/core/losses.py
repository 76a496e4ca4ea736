"""Stops a run that loses more than a share of its rows to one reason, before it loses the others too."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field

from curation.core.errors import TooManyLost
from schemas.reasons import Reason

LEAST_ROWS = 200


@dataclass
class Losses:
    """Counts what became of a stage's rows in one worker; several threads may count at once.

    ``share`` is ``run.stop_at_share``; 1 never stops.
    """

    stage: str
    share: float
    rows: int = 0
    lost: Counter[Reason] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, reason: Reason | None, detail: str | None) -> None:
        """Counts one row; ``reason`` is null for one that is not lost. Raises ``TooManyLost``."""
        with self._lock:
            self.rows += 1
            if reason is None:
                return
            self.lost[reason] += 1
            lost, rows = self.lost[reason], self.rows
        if rows >= LEAST_ROWS and self.share < 1 and lost > self.share * rows:
            raise TooManyLost(
                f"stage {self.stage} lost {lost} of {rows} replies to one reason, {reason} ({detail or 'no detail'}); "
                f"that is more than run.stop_at_share = {self.share:g}. Nothing was decided on the shards in work. "
                "Mend what the reason names, or set run.stop_at_share = 1 to go on"
            )

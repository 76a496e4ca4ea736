"""Stops a run that loses more than a share of its rows to one reason, before it loses the others too.

Only reasons that point at a fault of the run count: its network, servers, model or settings. What a list itself brings
(links that are gone, pictures that are small) never stops a run; its summary names it.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from curation.core.errors import TooManyLost
from curation.core.printable import first_words
from schemas.reasons import Reason

LEAST_ROWS = 200


@dataclass
class Losses:
    """Counts what became of a stage's rows in one worker; several threads may count at once.

    ``share`` is ``run.stop_at_share``; 1 never stops. ``of`` names what is counted. Rows may belong to groups, such as
    hosts: then a reason must hold more than the share of the groups too, so that one dead host stops nothing.
    """

    stage: str
    share: float
    of: str = "replies"
    rows: int = 0
    lost: Counter[Reason] = field(default_factory=Counter)
    _groups: set[str] = field(default_factory=set)
    _lost_groups: defaultdict[Reason, set[str]] = field(default_factory=lambda: defaultdict(set))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, reason: Reason | None, detail: str | None, group: str | None = None) -> None:
        """Counts one row; ``reason`` is null for one that is not lost. Raises ``TooManyLost``."""
        with self._lock:
            self.rows += 1
            if group is not None:
                self._groups.add(group)
            if reason is None:
                return
            self.lost[reason] += 1
            if group is not None:
                self._lost_groups[reason].add(group)
            lost, rows = self.lost[reason], self.rows
            groups, lost_groups = len(self._groups), len(self._lost_groups[reason])
        if self.share >= 1 or rows < LEAST_ROWS or lost <= self.share * rows:
            return
        if groups and lost_groups <= self.share * groups:
            return
        found = first_words(detail or "no detail")
        raise TooManyLost(
            f"stage {self.stage} lost {lost} of {rows} {self.of} to one reason, {reason} ({found}); "
            f"that is more than run.stop_at_share = {self.share:g}. Nothing was decided on the shards in work. "
            "Mend what the reason names, or set run.stop_at_share = 1 to go on"
        )

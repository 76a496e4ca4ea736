"""How long the shards of a table that are left will take, by those that a run has just finished."""

from __future__ import annotations

from dataclasses import dataclass, field

_LEAST = 4  # shards
_ROUNDS = 3  # of shards, over which ends that come together level out


@dataclass
class Pace:
    """The shards that a run has finished itself, failed ones among them, in the order in which they ended.

    ``work`` is what is done, in shards: those that ended, and the finished shares of those in work. Times are in
    seconds.
    """

    _ends: list[tuple[float, float]] = field(default_factory=list)  # when a shard ended, and the work done by then
    _took: float = 0.0

    def ended(self, now: float, work: float, seconds: float) -> None:
        """Notes a shard that took a worker so many seconds."""
        self._ends.append((now, work))
        self._took += seconds

    def left(self, now: float, work: float, ahead: float) -> float | None:
        """Seconds that as many shards as are ``ahead`` will take; None where nobody can tell yet.

        That is until a few have ended, one of them begun after the second had ended: workers that begin together end
        together, what had to be loaded came before, and one may still load when another is done. From then on the
        later half of the shards counts, and no less than what ended while a worker did some.
        """
        if len(self._ends) < _LEAST or ahead <= 0:
            return None
        takes = self._took / len(self._ends)
        last, then = self._ends[-1]
        half = (self._ends[at] for at in range((len(self._ends) - 1) // 2, 0, -1))
        since = next((end for end in half if last - end[0] >= _ROUNDS * takes), self._ends[1])
        if last - since[0] < takes or last <= since[0] or then <= since[1]:
            return None
        each = (last - since[0]) / (then - since[1])
        # Where nothing ends any more, those that are in work take longer; by Little's law that many are.
        in_work = max(1.0, takes / each)
        each = max(each, (now - since[0]) / (max(work, then) - since[1] + in_work))
        return each * ahead

"""The time that is left is said once it can be known, and then it is near what it comes to. Times are made up."""

from __future__ import annotations

import heapq
import io
from collections.abc import Iterator

import pytest
from rich.console import Console

from curation.core.job import Outcome
from curation.core.run_status import TableProgress
from curation.core.under_way import Progress
from flows import progress as module
from flows.pace import Pace
from flows.progress import RunProgress
from tests.flows.test_progress import Clock

EVERY = 5.0  # seconds from look to look


class Work:
    """Shards that so many workers do at once, each shard in its seconds; ``loading`` comes before the first."""

    def __init__(self, clock: Clock, seconds: list[float], *, workers: int, loading: float = 0.0, tells: bool) -> None:
        self.clock, self.tells, self.seen = clock, tells, list[Progress]()
        free = [clock.now + loading] * workers
        self.shards: list[tuple[float, float]] = []
        for takes in seconds:
            begins = heapq.heappop(free)
            self.shards.append((begins, begins + takes))
            heapq.heappush(free, begins + takes)
        self.end = max(ends for _, ends in self.shards)
        said: list[TableProgress] = []
        console = Console(file=io.StringIO(), width=200)
        self.progress = RunProgress(
            artifacts=False, console=console, look=lambda: self.seen, publish=lambda tables: said.extend(tables)
        )
        self.said = said

    def look(self) -> TableProgress:
        now = self.clock.now
        if self.tells:
            works = [(n, b, e) for n, (b, e) in enumerate(self.shards) if b <= now < e]
            self.seen = [Progress("images", f"s-{n}", int(1000 * (now - b) / (e - b)), 1000) for n, b, e in works]
        self.progress.look()
        return self.said[-1]

    def run(self) -> Iterator[tuple[float, TableProgress]]:
        """The seconds that are left in truth, and what is said of them, from look to look."""
        for ends, begins, n in sorted((ends, begins, n) for n, (begins, ends) in enumerate(self.shards)):
            while self.clock.now + EVERY < ends:
                self.clock.now += EVERY
                yield self.end - self.clock.now, self.look()
            self.clock.now = ends
            self.progress(Outcome(0, "images", f"s-{n}", "done", rows_out=9, seconds=ends - begins))
            yield self.end - ends, self.look()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "time", made)
    monkeypatch.setattr(module, "_PUBLISH_SECONDS", 0.0)
    return made


@pytest.mark.parametrize("tells", [True, False])
@pytest.mark.parametrize("workers", [1, 4, 16])
@pytest.mark.parametrize("skipped", [0, 900])
def test_what_is_said_to_be_left_is_near_what_is(workers: int, skipped: int, tells: bool, clock: Clock) -> None:
    """With a model that loads for long, workers that begin together, and shards that were finished before."""
    seconds = [90.0 + 7 * (n * 5 % 4) for n in range(10 * workers)]
    work = Work(clock, seconds, workers=workers, loading=600, tells=tells)
    work.progress.expect("images", skipped + len(seconds))
    if skipped:
        work.progress(Outcome(0, "images", "", "skipped", shards=skipped))
    said = [(true, told.left) for true, told in work.run()]
    assert any(true > 0.5 * (work.end - 1600) for true, left in said if left is not None), "it is said early on"
    for true, left in said:
        # Where no shard in work says how far it is, the ends of those that began together come together.
        assert left is None or abs(left - true) <= (0.15 * true + 40 if tells else 0.4 * true + 110), (true, left)


def test_nothing_is_said_while_the_first_shards_of_workers_that_began_together_end(clock: Clock) -> None:
    """One of 16 shards has ended in 100 seconds, and 15 end in the next five: that is no pace."""
    work = Work(clock, [100.0 + n * 0.3 for n in range(16)] * 4, workers=16, tells=False)
    work.progress.expect("images", 64)
    said = [told for _, told in work.run()]
    assert all(told.left is None for told in said if told.shards < 16)
    assert all("left" not in told.text() for told in said if told.left is None)
    assert any(told.left for told in said)


def test_workers_that_still_load_are_no_pace() -> None:
    """Shards take no time; the second worker answers a minute after the first one."""
    pace = Pace()
    for number, now in enumerate((0.0, 60.0, 60.2, 60.4, 60.6, 60.8), 1):
        pace.ended(now, number, 0.2)
        left = pace.left(now, number, 100.0 - number)
        assert left is None or left < 30, number
    assert left is not None and pace.left(61, 100.0, 0.0) is None, "nothing is left"


def test_a_pace_that_changes_is_followed(clock: Clock) -> None:
    work = Work(clock, [10.0] * 40 + [100.0] * 160, workers=1, tells=False)
    work.progress.expect("images", 200)
    said = [(true, told.left) for true, told in work.run() if told.shards >= 90 and told.left is not None]
    assert said and all(abs(left - true) <= 0.1 * true + 110 for true, left in said)


def test_shards_that_were_finished_before_say_nothing_of_those_that_are_left(clock: Clock) -> None:
    work = Work(clock, [50.0], workers=1, tells=False)
    work.progress.expect("images", 1000)
    work.progress(Outcome(0, "images", "", "skipped", shards=900))
    clock.now += 20
    assert work.look().left is None

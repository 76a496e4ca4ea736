"""Progress of a run: a bar a stage on a terminal, plain lines elsewhere, artifacts in Prefect.

A thread looks at the shards in work, so that a run is never silent for long: once a second on a terminal, else every
ten seconds.
"""

from __future__ import annotations

import contextlib
import contextvars
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Self
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.context import SettingsContext, get_settings_context
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, Settings
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.progress import Progress as Bars

from curation.core.job import Outcome
from curation.core.printable import printable
from curation.core.run_status import TableProgress, within
from curation.core.under_way import Progress
from flows.announce import artifact_key
from flows.json_lines import as_json, tell
from flows.pace import Pace

_LINE_SECONDS = 10.0
_LOOK_SECONDS = 1.0
_ARTIFACT_SECONDS = 5.0
_PUBLISH_SECONDS = 5.0
_SILENT_SECONDS = 300.0  # without artifacts after one that Prefect did not take


@dataclass
class _Row:
    """The progress of one table."""

    total: int | None
    started: float
    shards: int = 0
    skipped: int = 0
    failed: int = 0
    rows: int = 0
    bar: TaskID | None = None
    artifact: UUID | None = None
    printed: float = 0.0
    sent: float = 0.0
    finished: bool = False
    within: tuple[Progress, ...] = ()  # its shards in work, as they were when last looked at
    pace: Pace = field(default_factory=Pace)

    @property
    def work(self) -> float:
        """What the run has done itself, in shards."""
        return self.shards - self.skipped + sum(p.done / p.total for p in self.within if p.total)

    def note(self, outcome: Outcome) -> None:
        """Counts what became of a shard, or of several that were finished before."""
        self.shards += outcome.shards
        self.skipped += outcome.shards if outcome.status == "skipped" else 0
        self.failed += outcome.status == "failed"
        self.rows += outcome.rows_out if outcome.status == "done" else 0
        self.within = tuple(p for p in self.within if p.shard != outcome.shard)
        if outcome.status != "skipped":
            self.pace.ended(time.monotonic(), self.work, outcome.seconds)

    def said(self, table: str) -> TableProgress:
        """How far it is. The rate counts from when the first shard was waited for, shards in work included."""
        now = time.monotonic()
        seconds = max(1e-9, now - self.started)
        working = within(self.within)
        ahead = None if self.finished or self.total is None else self.total - self.skipped - self.work
        return TableProgress(
            *(table, self.shards, self.total, self.rows, self.skipped, self.failed),
            rate=(self.rows + working["done"]) / seconds,
            left=None if ahead is None else self.pace.left(now, self.work, ahead),
            finished=self.finished,
            **working,
        )


class RunProgress:
    """Follows a run's outcomes. Use as a context manager; call ``expect`` before a table's first outcome."""

    def __init__(
        self,
        *,
        artifacts: bool,
        console: Console | None = None,
        look: Callable[[], Sequence[Progress]] = lambda: (),
        publish: Callable[[Sequence[TableProgress]], None] = lambda tables: None,
    ) -> None:
        """``look`` returns the shards in work, ``publish`` tells others; both are called from a thread of its own."""
        self._console = console or Console(file=sys.stderr)
        self._look = look
        self._publish = publish
        self._published = 0.0
        self._over = threading.Event()
        self._lock = threading.RLock()
        self._telling = threading.Lock()
        self._artifacts = artifacts
        self._silent_until = 0.0
        self._hasty: tuple[Settings, Settings] | None = None
        self._rows: dict[str, _Row] = {}
        self._bars = Bars(
            TextColumn("{task.description:<15}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]:>12}"),
            TextColumn("{task.fields[within]}", style="dim", markup=False),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=self._console,
            disable=as_json() or not self._console.is_terminal,
        )

    def __enter__(self) -> Self:
        self._bars.start()
        # In the run's own context, which names its Prefect server: elsewhere Prefect would start another one.
        look = partial(contextvars.copy_context().run, self._keep_looking)
        threading.Thread(target=look, daemon=True, name="progress").start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._bars.stop()
        with self._telling:
            pass  # nothing is published any more

    def _keep_looking(self) -> None:
        while not self._over.wait(_LOOK_SECONDS):
            with contextlib.suppress(Exception):  # a look may never end the work
                self.look()

    def look(self) -> None:
        """Shows how far the shards in work are; a line only where none was printed for some seconds."""
        found = self._look()
        with self._lock:
            for table, row in self._rows.items():
                if row.finished:
                    continue
                row.within = tuple(p for p in found if p.table == table)
                self._draw(table, row)
                if row.within:
                    self._report(table, row)

        self._tell()

    def _tell(self) -> None:
        now = time.monotonic()
        if now - self._published < _PUBLISH_SECONDS:
            return
        self._published = now
        with self._lock:
            tables = [row.said(table) for table, row in self._rows.items()]
        with self._telling:
            if not self._over.is_set():
                self._publish(tables)

    def expect(self, table: str, total: int | None) -> None:
        """Starts to follow a table; ``total`` is its number of shards, where that is known."""
        now = time.monotonic()
        with self._lock:
            row = self._rows.setdefault(table, _Row(total, now, printed=now))
            row.total = total
            row.bar = self._bars.add_task(table, total=total, rate="", within="", left="")
        if self._artifacts:
            about = {"key": artifact_key(table), "description": f"shards of {table}"}
            found = self._ask_prefect(lambda: create_progress_artifact(0.0, **about))
            row.artifact = found if isinstance(found, UUID) else None

    def __call__(self, outcome: Outcome) -> None:
        if outcome.table not in self._rows:
            self.expect(outcome.table, None)
        with self._lock:
            row = self._rows[outcome.table]
            row.note(outcome)
            self._draw(outcome.table, row)
            self._tell_of(outcome)
            self._report(outcome.table, row)

    def finish(self, tables: tuple[str, ...]) -> None:
        """Reports the end of a step."""
        for table in tables:
            row = self._rows.get(table)
            if row is None:
                continue
            with self._lock:
                row.finished, row.within = True, ()
                if row.bar is not None:
                    self._bars.update(row.bar, total=row.shards, completed=row.shards, within="", left="")
                self._line(table, row)
            self._send(row, final=True)

    def _draw(self, table: str, row: _Row) -> None:
        if row.bar is not None:
            said = row.said(table)
            rate, inside, left = said.rate_text(), said.in_work(), said.left_text()
            self._bars.update(row.bar, completed=row.shards, rate=rate, within=inside, left=left)

    def _tell_of(self, outcome: Outcome) -> None:
        """A shard that failed; for programs, one that was done too."""
        error = printable(outcome.error)
        if as_json() and outcome.status != "skipped":
            seconds = round(outcome.seconds, 3)
            tell(
                *(f"{outcome.table}/{outcome.shard} {outcome.status}", "error" if error else "info"),
                table=outcome.table,
                shard=outcome.shard,
                status=outcome.status,
                error=error or None,
                rows_in=outcome.rows_in,
                rows_out=outcome.rows_out,
                seconds=seconds,
            )
        elif outcome.status == "failed":
            self._console.print(f"{outcome.table}/{outcome.shard} failed: {error}", style="red", markup=False)

    def _report(self, table: str, row: _Row) -> None:
        now = time.monotonic()
        if now - row.printed > _LINE_SECONDS:
            row.printed = now
            self._line(table, row)
        if now - row.sent > _ARTIFACT_SECONDS:
            row.sent = now
            self._send(row, final=False)

    def _line(self, table: str, row: _Row) -> None:
        if as_json():
            found = row.said(table)
            tell(
                *(f"{table}: {found.text()}",),
                table=table,
                shards=found.shards,
                shards_expected=found.total,
                rows=found.rows,
                rows_per_second=round(found.rate, 3),
                seconds_left=found.left and round(found.left, 1),
            )
        if as_json() or self._console.is_terminal:
            return
        said = f"{table:<15} {row.said(table).text()}"
        self._console.print(said, markup=False, highlight=False)

    def _send(self, row: _Row, *, final: bool) -> None:
        if row.artifact is None:
            return
        artifact, share = row.artifact, 100.0 if final or not row.total else min(99.0, 100.0 * row.shards / row.total)
        self._ask_prefect(lambda: update_progress_artifact(artifact, progress=share))

    def _without_retries(self) -> SettingsContext:
        """Prefect's settings as they are, but for retries; to make them takes as long as many questions."""
        context = get_settings_context()
        if self._hasty is None or self._hasty[0] is not context.settings:
            hasty = context.settings.copy_with_update({PREFECT_CLIENT_MAX_RETRIES: 0})
            self._hasty = context.settings, hasty
        return SettingsContext(profile=context.profile, settings=self._hasty[1])

    def _ask_prefect(self, ask: Callable[[], object]) -> object:
        """What Prefect answers. An API that does not may neither end the work nor hold it up, as its retries would."""
        if time.monotonic() < self._silent_until:
            return None
        try:
            with self._without_retries():
                return ask()
        except Exception:
            self._silent_until = time.monotonic() + _SILENT_SECONDS
            return None

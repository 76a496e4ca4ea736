"""Progress of a run: a bar a stage on a terminal, plain lines elsewhere, artifacts in Prefect."""

from __future__ import annotations

import contextlib
import sys
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from uuid import UUID

from prefect.artifacts import create_progress_artifact, create_table_artifact, update_progress_artifact
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from curation.core.pipeline import Outcome

_LINE_SECONDS = 10.0
_ARTIFACT_SECONDS = 2.0


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

    def rate(self) -> float:
        """Rows a second since the table's first shard was waited for."""
        return self.rows / max(1e-9, time.monotonic() - self.started)


class RunProgress:
    """Follows a run's outcomes. Use as a context manager; call ``expect`` before a table's first outcome."""

    def __init__(self, *, artifacts: bool, console: Console | None = None) -> None:
        self._console = console or Console(file=sys.stderr)
        self._artifacts = artifacts
        self._rows: dict[str, _Row] = {}
        self._bars = Progress(
            TextColumn("{task.description:<15}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]:>12}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def expect(self, table: str, total: int | None) -> None:
        """Starts to follow a table; ``total`` is its number of shards, where that is known."""
        row = self._rows.setdefault(table, _Row(total, time.monotonic()))
        row.total = total
        row.bar = self._bars.add_task(table, total=total, rate="")
        if self._artifacts:
            # A Prefect API that does not answer must not end the work.
            with contextlib.suppress(Exception):
                found = create_progress_artifact(0.0, key=_key(table), description=f"shards of {table}")
                row.artifact = found if isinstance(found, UUID) else None

    def __call__(self, outcome: Outcome) -> None:
        if outcome.table not in self._rows:
            self.expect(outcome.table, None)
        row = self._rows[outcome.table]
        row.shards += 1
        row.skipped += outcome.status == "skipped"
        row.failed += outcome.status == "failed"
        row.rows += outcome.rows_out if outcome.status == "done" else 0
        if row.bar is not None:
            self._bars.update(row.bar, completed=row.shards, rate=f"{row.rate():,.0f} rows/s" if row.rows else "")
        if outcome.status == "failed":
            self._console.print(f"{outcome.table}/{outcome.shard} failed: {outcome.error}", style="red", markup=False)
        self._report(outcome.table, row)

    def finish(self, tables: tuple[str, ...]) -> None:
        """Reports the end of a step."""
        for table in tables:
            row = self._rows.get(table)
            if row is None:
                continue
            if row.bar is not None:
                self._bars.update(row.bar, total=row.shards, completed=row.shards)
            self._line(table, row, final=True)
            self._send(row, final=True)

    def _report(self, table: str, row: _Row) -> None:
        now = time.monotonic()
        if now - row.printed > _LINE_SECONDS:
            if row.printed:
                self._line(table, row, final=False)
            row.printed = now
        if now - row.sent > _ARTIFACT_SECONDS:
            row.sent = now
            self._send(row, final=False)

    def _line(self, table: str, row: _Row, *, final: bool) -> None:
        if self._console.is_terminal:
            return
        of = f"/{row.total}" if row.total is not None and not final else ""
        parts = [f"{table:<15} {row.shards}{of} shards"]
        if row.rows:
            parts.append(f"{row.rows:,} rows, {row.rate():,.0f} rows/s")
        if row.skipped:
            parts.append(f"{row.skipped} already finished")
        if row.failed:
            parts.append(f"{row.failed} failed")
        if not final and row.total and row.shards:
            left = (time.monotonic() - row.started) / row.shards * (row.total - row.shards)
            parts.append(f"about {left:,.0f} s left")
        self._console.print(", ".join(parts), markup=False, highlight=False)

    def _send(self, row: _Row, *, final: bool) -> None:
        if row.artifact is None:
            return
        share = 100.0 if final or not row.total else min(99.0, 100.0 * row.shards / row.total)
        with contextlib.suppress(Exception):
            update_progress_artifact(row.artifact, progress=share)


def publish_table(key: str, rows: list[dict[str, str | int]], description: str) -> None:
    """A table artifact in Prefect; an API that does not answer is ignored."""
    with contextlib.suppress(Exception):
        create_table_artifact(key=_key(key), table=rows, description=description)


def _key(name: str) -> str:
    return name.replace("_", "-").lower()

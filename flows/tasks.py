"""Runs steps as Prefect tasks, one task a step; exit codes and interrupts of the command line."""

from __future__ import annotations

import atexit
import contextlib
import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from types import FrameType
from typing import NoReturn, TypeVar

from prefect import task
from prefect.cache_policies import NO_CACHE

from curation.core.errors import LapidaryError, ShardsFailed, UsageError
from curation.core.invocation import command_of
from curation.core.job import Outcome
from curation.core.kept_listing import keeping
from curation.core.lock import Lock, hold
from curation.core.pipeline import Engine
from curation.core.printable import printable
from curation.core.root import write_recipe
from curation.core.run import RunRecord, Step, check_workers, compact_tables
from curation.core.run_status import forget, publish
from curation.core.store import Store
from curation.core.watchdog import watched
from flows.json_lines import tell
from flows.plain_lines import plain_warnings
from flows.prefect_server import PrefectApi, check_server
from flows.progress import RunProgress
from flows.versioning import raise_version, remember
from schemas.part import Part

_KEPT = "every finished shard is kept under {root}. Resume with the same command:\n  {retry}"
_FAILED_ROWS = (
    "select s.sample_id, coalesce(r.url, r.local_file) as picture, s.source_file, s.source_row, s.detail "
    "from samples s join rows r using (source_file, source_row) where s.fate = 'failed' limit 100"
)
_HANDED: ContextVar[object] = ContextVar("handed", default=None)
T = TypeVar("T")
EXIT_OK, EXIT_FAILED_SHARDS, EXIT_USAGE, EXIT_MOSTLY_LOST, EXIT_INTERRUPTED = 0, 1, 2, 3, 130


def run_steps(
    store: Store, engine: Engine, recipe: Part, steps: Sequence[Step], command: str, *, wait: bool = False
) -> RunRecord:
    """Holds the root, runs the steps in their order, and keeps a record of the run, failed shards included.

    With ``wait`` it waits for a root that another run has locked.

    Raises ``LapidaryError`` for what ends a run early, after recording it.
    """
    record = RunRecord(command=command, engine=type(engine).__name__)
    # A worker of Prefect starts no watchdog, and Ray would outlive a run that it kills.
    with watched(), hold(store, wait=say if wait else None) as lock, keeping(store.url):
        forget(store)
        write_recipe(store, recipe)
        remember(store)  # a release that was made before there were versions
        record.write(store)
        told = partial(publish, store, record.run_id)
        try:
            with RunProgress(artifacts=True, look=engine.under_way, publish=told) as progress:
                _run_all(store, engine, steps, progress, record, lock)
            raise_version(store)
            lock.worked = bool(record.done or record.failed)
        except BaseException as error:
            record.status = "interrupted" if isinstance(error, KeyboardInterrupt) else "error"
            said = str(error)
            record.detail = f"{type(error).__name__}: {said}" if said else type(error).__name__
            _write_anyway(store, record)
            raise
        finally:
            forget(store)
        record.status = "failed shards" if record.failed else "completed"
        record.write(store)
    return record


def _run_all(
    store: Store, engine: Engine, steps: Sequence[Step], progress: RunProgress, record: RunRecord, lock: Lock
) -> None:
    try:
        check_workers(store, engine, steps)
        for step in (s for s in steps if s.on):
            check_server()
            _run_step(store, engine, step, progress, record, lock)
    finally:
        stop = getattr(engine, "stop", None)
        if stop is not None:
            stop()


def _run_step(store: Store, engine: Engine, step: Step, progress: RunProgress, record: RunRecord, lock: Lock) -> None:
    def report(outcome: Outcome) -> None:
        lock.check()
        record.note(outcome)
        progress(outcome)

    @task(name=step.name, cache_policy=NO_CACHE, persist_result=False)
    def run() -> None:
        total = step.shards(store)
        record.expect(step.tables)
        for table in step.tables:
            progress.expect(table, total)
        done = step.run(store, engine, report).done
        compact_tables(store, step, done)
        progress.finish(step.tables)

    run()


def _write_anyway(store: Store, record: RunRecord) -> None:
    try:
        record.write(store)
    except LapidaryError as error:
        tell(f"the run's record could not be written: {error}", "error")


@contextmanager
def two_interrupts() -> Iterator[None]:
    """The first Ctrl-C (or SIGTERM) stops the run in good order; a second one stops it at once."""
    seen = 0

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal seen
        seen += 1
        if seen > 1:
            tell("\nstopped at once; what was finished is kept, run the same command to resume", "warning")
            for child in _children():  # Prefect's temporary server would stay behind, and hold our output open
                with contextlib.suppress(OSError):
                    os.kill(child, signal.SIGTERM)
            os._exit(EXIT_INTERRUPTED)
        raise KeyboardInterrupt

    before = {s: signal.signal(s, handle) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        if not seen:  # else the second Ctrl-C may still come, while exit handlers run
            for s, old in before.items():
                signal.signal(s, old)


def _children() -> list[int]:
    """Processes that this one started, read from /proc."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # Fields behind the program's name, which may hold anything, are state and parent.
            if int(stat.read_text().rpartition(")")[2].split()[1]) == os.getpid():
                found.append(int(stat.parent.name))
    return found


def _nothing_ahead(checked: object) -> Iterable[Callable[[], None]]:
    return ()


def _nothing_to_show(checked: object) -> int:
    return EXIT_OK


def exit_code(
    root: str,
    retry: str,
    check: Callable[[], T],
    run: Callable[[], object],
    ahead: Callable[[T], Iterable[Callable[[], None]]] = _nothing_ahead,
    ending: Callable[[T], int] = _nothing_to_show,
) -> int:
    """Checks and runs a flow for the command line: its exit code, with one clear line for what went wrong.

    Prefect's temporary server starts while ``check`` looks at recipe, source and models. What is left of that time is
    used for ``ahead``, one call after the other. The flow takes what was checked by ``handed``. ``ending`` shows people
    what there is, also after failed shards; its code counts where nothing failed.
    """
    checked: list[T] = []

    def whole() -> int:
        with plain_warnings() as notes, two_interrupts(), watched(), PrefectApi() as api:
            checked.append(check())
            api.ready(ahead(checked[0]))
            notes.let_go()
            with _handing(checked[0]):
                run()
        return EXIT_OK

    code = _told(root, retry, whole)
    if checked and code in (EXIT_OK, EXIT_FAILED_SHARDS):
        shown = _told(root, retry, lambda: ending(checked[0]))
        return code or shown
    return code


def handed(kind: type[T]) -> T | None:
    """What the command that runs this flow has checked already, so that a command checks once.

    Nothing where a worker or a script runs the flow: its parameters are plain data.
    """
    checked = _HANDED.get()
    return checked if isinstance(checked, kind) else None


@contextmanager
def _handing(checked: object) -> Iterator[None]:
    token = _HANDED.set(checked)
    try:
        yield
    finally:
        _HANDED.reset(token)


def _told(root: str, retry: str, call: Callable[[], int]) -> int:
    """The call's exit code; what it raises is told in one clear line, and gives the code."""
    try:
        return call()
    except KeyboardInterrupt:
        tell(f"\ninterrupted; {_KEPT.format(root=root, retry=retry)}", "warning")
        return EXIT_INTERRUPTED
    except UsageError as error:
        tell(f"error: {_safe(error)}", "error")
        return EXIT_USAGE
    except ShardsFailed as error:
        ask = command_of("curation.catalog")
        roots = [shlex.quote(url) for url in error.roots or (root,)]
        why = "\n".join(f"why: {ask} {url} 'from failures'" for url in roots)
        if not error.roots:
            why += f'\nwhich rows: {ask} {roots[0]} "{_FAILED_ROWS}"'
        tell(f"{_safe(error)}\n{why}\nretry them by running the same command again:\n  {retry}", "error")
        return EXIT_FAILED_SHARDS
    except LapidaryError as error:
        tell(f"error: {_safe(error)}\n{_KEPT.format(root=root, retry=retry)}", "error")
        return EXIT_FAILED_SHARDS


def _safe(error: LapidaryError) -> str:
    """The error's lines without characters that would steer the terminal: they may quote servers and files."""
    return "\n".join(printable(line) for line in str(error).splitlines())


def say(line: str) -> None:
    """A line for whoever watches the run."""
    tell(printable(line))


def say_starting(engine: str) -> None:
    """The first line of a run: what takes the next seconds."""
    started = "Prefect, Ray" if engine == "ray" else "Prefect"
    print(f"starting: {started}; checking recipe, source and models", flush=True)


def dry_run_code(describe: Callable[[], str]) -> int:
    """Prints what a run would do; the exit code of that."""
    try:
        with plain_warnings() as notes:
            described = describe()
            notes.let_go()
            print(described)
    except UsageError as error:
        tell(f"error: {_safe(error)}", "error")
        return EXIT_USAGE
    return EXIT_OK


def leave(code: int) -> NoReturn:
    """Ends the process with this exit code, after all exit handlers (Prefect's temporary server has one).

    Modules are not torn down: with threads of Prefect's alive, DuckDB's bindings would print a page of leaks.
    """
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)

"""The Prefect API that a run talks to: the one that the settings name, or a temporary server of the run's own.

Prefect would start a temporary server by itself, wait for minutes where it cannot start, and say why in words of its
own. Here every refusal comes before any work, as one line.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import prefect
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_CLIENT_MAX_RETRIES,
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    PREFECT_HOME,
    get_current_settings,
    temporary_settings,
)

from curation.core.errors import LapidaryError, UsageError

_REACH_SECONDS = 5.0
_START_SECONDS = 180.0  # on a busy machine a start has taken more than a minute
_LOCK_SECONDS = 5.0
_END_SECONDS = 10.0
_RETRIES = 2
_ENDED = "Prefect's temporary server ended while the run was under way; look whether the machine ran out of memory"
# As Prefect starts its own temporary server: no pages, no services that a single run has no use for.
_SERVER = {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}


class PrefectApi:
    """A Prefect API that starts beside the other preparations of a run. Use as a context manager.

    Entering starts a temporary server where the settings name none; ``ready`` waits until it answers.
    """

    def __init__(self) -> None:
        self._url = str(PREFECT_API_URL.value() or "")
        self._ends = contextlib.ExitStack()
        self._server: _Server | None = None

    def __enter__(self) -> Self:
        """Raises ``UsageError`` in one line where the named server does not answer, or no other can be started."""
        if self._url:
            _must_answer(self._url)
        else:
            _must_be_usable(Path(PREFECT_HOME.value()))
            self._server = self._ends.enter_context(_temporary_server())
            _own.append(self._server)
            self._ends.callback(_own.remove, self._server)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Raises ``LapidaryError`` where what ends the block is that the server is gone."""
        gone = isinstance(error, Exception) and not isinstance(error, LapidaryError) and self._is_gone()
        self._ends.close()
        if gone:
            if not self._url:
                raise LapidaryError(_ENDED) from error
            raise LapidaryError(
                f"the Prefect server at {self._url} ended while the run was under way; start it again"
            ) from error

    def _is_gone(self) -> bool:
        if self._server is not None:
            return self._server.process.poll() is not None
        try:
            _must_answer(self._url)
        except UsageError:
            return True
        return False

    def ready(self, meanwhile: Iterable[Callable[[], None]] = ()) -> None:
        """Returns once a temporary server answers; what is done ``meanwhile`` is left off where it answers first.

        Raises ``UsageError`` in one line where it does not answer.
        """
        if self._server is not None:
            self._server.wait(iter(meanwhile))
            # Nobody looks for the heartbeats of a run whose server ends with it, and their thread ends a second late.
            # A temporary server that is gone does not come back: of the minute of retries a few seconds are enough.
            settings = {
                PREFECT_API_URL: self._server.url,
                PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,
                PREFECT_CLIENT_MAX_RETRIES: _RETRIES,
            }
            self._ends.enter_context(temporary_settings(settings))


def check_server() -> None:
    """Raises ``LapidaryError`` where this run's temporary server has ended: Prefect would ask it for minutes.

    Called between two steps, so that what a step has begun is finished first.
    """
    if any(server.process.poll() is not None for server in _own):
        raise LapidaryError(_ENDED)


def _must_answer(url: str) -> None:
    try:
        _ask(url)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"the Prefect server at {url} does not answer ({_reason(error)}); start it, correct PREFECT_API_URL, or "
            "unset it (prefect config unset PREFECT_API_URL) to let the run start a server of its own"
        ) from error


def _ask(url: str) -> None:
    """Raises ``OSError`` where nothing well answers."""
    request = urllib.request.Request(f"{url.rstrip('/')}/health")  # noqa: S310  # a URL of the user's settings
    if request.type not in ("http", "https"):
        raise ValueError("not a http:// or https:// URL")
    # The environment's proxies are for the web, not for a server on this machine or beside it.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=_REACH_SECONDS):
        pass


def _reason(error: Exception) -> str:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    return " ".join(str(cause).split())[:200] or type(error).__name__


def _must_be_usable(home: Path) -> None:
    """A home that can be written to, with a database that no other process has locked."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home):
            pass
    except OSError as error:
        raise UsageError(
            f"Prefect's folder {home} cannot be written ({error.strerror or error}); mend its rights, or name another "
            "one in PREFECT_HOME"
        ) from error
    database = home / "prefect.db"
    if not database.is_file():
        return
    connection = sqlite3.connect(database, timeout=_LOCK_SECONDS, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        raise UsageError(
            f"Prefect's database {database} cannot be used ({error}); end the process that holds it, or name another "
            "folder in PREFECT_HOME"
        ) from error
    finally:
        connection.close()


@dataclass
class _Server:
    """A server on its way up.

    Of two that make one home's database at the same time, one may end at once: it is started again.
    """

    url: str
    start: Callable[[], subprocess.Popen[bytes]]
    log: int
    bound: socket.socket
    starts: int = 1

    def __post_init__(self) -> None:
        self.process = self.start()

    def wait(self, meanwhile: Iterator[Callable[[], None]]) -> None:
        """Raises ``UsageError`` where it ends, or does not answer in time."""
        started = time.monotonic()
        while True:
            with contextlib.suppress(OSError):
                _ask(self.url)
                self.bound.close()  # else whoever asks a server that has died would wait instead of being refused
                return
            if self.process.poll() is not None and self.starts < _STARTS:
                self.starts += 1
                self.process = self.start()
            elif self.process.poll() is not None:
                raise UsageError(f"Prefect's temporary server ended as it started: {_last_words(self.log)}{_REMEDY}")
            if time.monotonic() - started > _START_SECONDS:
                raise UsageError(
                    f"Prefect's temporary server did not answer within {_START_SECONDS:g} s: "
                    f"{_last_words(self.log)}{_REMEDY}"
                )
            if (work := next(meanwhile, None)) is None:
                time.sleep(0.05)
            else:
                work()


_own: list[_Server] = []  # the temporary server of the run that this process does


@contextlib.contextmanager
def _temporary_server() -> Iterator[_Server]:
    """Starts a server that ends with the block."""
    with tempfile.TemporaryFile() as log, _bound_socket() as bound:
        port = bound.getsockname()[1]

        def start() -> subprocess.Popen[bytes]:
            return subprocess.Popen(
                [
                    *(sys.executable, "-m", "uvicorn", "--app-dir", str(prefect.__module_path__.parent), "--factory"),
                    *("prefect.server.api.server:create_app", "--fd", str(bound.fileno())),
                    *("--log-level", "error", "--lifespan", "on"),
                ],
                env=os.environ | _SERVER | get_current_settings().to_environment_variables(exclude_unset=True),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(bound.fileno(),),
                start_new_session=True,  # Ctrl-C is for the run, which says its end to the server first
            )

        server = _Server(f"http://127.0.0.1:{port}/api", start, log.fileno(), bound)
        try:
            yield server
        finally:
            server.process.terminate()
            # It takes a second or more, which the result of the run does not have to wait for.
            ending = threading.Thread(target=_end, args=(server.process,), daemon=True)
            ending.start()
            atexit.register(ending.join)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Waits until a process that was asked to end has ended, and kills it where it does not."""
    try:
        process.wait(timeout=_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _bound_socket() -> socket.socket:
    """A socket on a free port, which nobody else can take before the server listens on it."""
    bound = socket.socket()
    # The server's connections inherit it; the server itself takes the socket for one that has no such delay.
    bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    bound.bind(("127.0.0.1", 0))
    return bound


_STARTS = 3
_REMEDY = "; run again, or start a server (prefect server start) and name it in PREFECT_API_URL"


def _last_words(log: int) -> str:
    size = os.fstat(log).st_size
    text = os.pread(log, 4000, max(0, size - 4000)).decode(errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it said nothing"

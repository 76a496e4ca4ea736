"""Starts a vLLM server in vLLM's own environment, watches and restarts it, and never leaves it behind.

The server runs below ``supervisor.py``, which ends it when the pipe to this process closes, so that it ends with
this process, even after kill -9. A server that dies is started again on the same port a limited number of times; the
client's retries repeat the requests that were in flight.
"""

from __future__ import annotations

import contextlib
import http.client
import logging
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Self

from curation.caption.model.chat import ChatReply, ChatRequest, ModelIdentity
from curation.caption.model.checkpoint import locate
from curation.caption.model.server import ServerModel
from curation.core.closing import Closing
from curation.core.errors import ModelError
from schemas.chat import Chat, Serve

HOST = "127.0.0.1"
_SUPERVISOR = Path(__file__).with_name("supervisor.py")
_LOOK_SECONDS = 0.5
_REPORT_SECONDS = 15.0
_MODULE = "vllm.entrypoints.openai.api_server"
# A schema that is ignored shows only when replies are parsed; the replies of this backend were strictly valid.
_STRUCTURED = '{"backend":"guidance","disable_any_whitespace":true}'
_ENVIRONMENT = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "OMP_WAIT_POLICY": "PASSIVE"}
# These would make vLLM's interpreter import from our environment, which has other versions of the same packages.
_NOT_INHERITED = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")
# "ValueError: …" and the like, without what loggers write before it.
_ERROR = re.compile(r"\b\w*(?:Error|Exception): .+")

log = logging.getLogger(__name__)


def command_of(settings: Serve, place: str, name: str, revision: str, port: int) -> list[str]:
    """The command line of ``vllm serve`` for the checkpoint at ``place``, served as ``name``."""
    python = str(Path(settings.python).expanduser().absolute())  # absolute, but a link stays: a venv is one
    words = [python, "-m", _MODULE, "--model", place, "--served-model-name", name, "--host", HOST, "--port", str(port)]
    if not Path(place).is_dir():
        words += ["--revision", revision]
    if settings.tensor_parallel > 1:
        words += ["--tensor-parallel-size", str(settings.tensor_parallel)]
    if not any(a.startswith("--structured-outputs-config") for a in settings.arguments):
        words += ["--structured-outputs-config", _STRUCTURED]
    return [*words, *settings.arguments]


def check_environment(settings: Serve) -> None:
    """Checks that the interpreter exists and has vLLM; takes a second. Raises ``ModelError``."""
    python = Path(settings.python).expanduser().absolute()
    if not os.access(python, os.X_OK) or python.is_dir():
        raise ModelError(
            f"caption.serve.python {settings.python!r} is not an executable file; make vLLM's environment "
            "(make .venv-vllm/.installed for the CPU) or name its interpreter"
        )
    look = "import importlib.util, sys; sys.exit(importlib.util.find_spec('vllm') is None)"
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        if subprocess.run([python, "-c", look], env=_environment(), timeout=60, capture_output=True).returncode == 0:
            return
    raise ModelError(
        f"caption.serve.python {settings.python!r} has no vLLM; install it there, or name another interpreter"
    )


class VllmServer(Closing):
    """One server process with its watcher. ``url`` is its base URL for clients; close it, or use ``with``."""

    def __init__(
        self, command: Sequence[str], port: int, log_file: Path, *, start_timeout: float = 1200.0, restarts: int = 3
    ) -> None:
        """``command`` must listen at ``port``; both its outputs are appended to ``log_file``."""
        self.url = f"http://{HOST}:{port}/v1"
        self.log_file = log_file
        self.restarted = 0
        self.gone: str | None = None
        self._command = list(command)
        self._port = port
        self._start_timeout = start_timeout
        self._restarts = restarts
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher = threading.Thread(target=self._watch, name="vllm-watcher", daemon=True)

    def start(self) -> None:
        """Starts the server and waits until it answers; logs the progress every 15 s.

        Raises ``ModelError`` with the last error in the server's log when it ends first or takes too long.
        """
        self._launch()
        log.warning("starting a model server at %s; its log is %s", self.url, self.log_file)
        started = reported = time.monotonic()
        while not healthy(self._port):
            seconds = time.monotonic() - started
            process = self._process
            if process is not None and process.poll() is not None:
                self.close()
                raise ModelError(f"the model server ended as it started: {last_words(self.log_file)}")
            if seconds > self._start_timeout:
                self.close()
                raise ModelError(
                    f"the model server did not answer within {self._start_timeout:g} s "
                    f"(caption.serve.start_timeout); see {self.log_file}"
                )
            if time.monotonic() - reported > _REPORT_SECONDS:
                reported = time.monotonic()
                log.warning("model server starting for %.0f s: %s", seconds, last_line(self.log_file))
            time.sleep(_LOOK_SECONDS)
        log.warning("the model server at %s is ready after %.0f s", self.url, time.monotonic() - started)
        self._watcher.start()

    def close(self) -> None:
        """Ends the server and all its processes; a second call does nothing."""
        self._closing.set()
        with self._lock:
            if self._process is not None and self._process.stdin is not None:
                with contextlib.suppress(OSError):
                    self._process.stdin.close()  # the supervisor notices and ends everything below it
                self._process.wait()
        if self._watcher.is_alive() and threading.current_thread() is not self._watcher:
            self._watcher.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def _launch(self) -> None:
        with self._lock:
            if self._closing.is_set():
                return
            self.log_file.parent.mkdir(parents=True, exist_ok=True)
            out: IO[bytes]
            with self.log_file.open("ab") as out:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", str(_SUPERVISOR), *self._command],
                    stdin=subprocess.PIPE,
                    stdout=out,
                    stderr=out,
                    env=_environment(),
                    start_new_session=True,  # Ctrl-C reaches this process only; the server ends after its replies
                )

    def _watch(self) -> None:
        while not self._closing.wait(_LOOK_SECONDS):
            process = self._process
            code = None if process is None else process.poll()
            if code is None:
                continue
            words = last_words(self.log_file)
            if self.restarted >= self._restarts:
                self.gone = f"the model server died {self.restarted + 1} times, last with exit code {code}: {words}"
                log.warning("%s", self.gone)
                return
            self.restarted += 1
            log.warning("the model server died (exit code %s); restart %d of %d", code, self.restarted, self._restarts)
            self._launch()


def healthy(port: int, timeout: float = 2.0) -> bool:
    """Whether a server on this machine answers /health with 200."""
    connection = http.client.HTTPConnection(HOST, port, timeout=timeout)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def free_port() -> int:
    """A port of this machine that is free now."""
    with socket.socket() as found:
        found.bind((HOST, 0))
        return int(found.getsockname()[1])


def last_line(log_file: Path) -> str:
    """The end of a log, on one line of at most 200 characters."""
    lines = _tail(log_file)
    return lines[-1][:200] if lines else "nothing in its log yet"


def last_words(log_file: Path) -> str:
    """The last line of a log that names an error, and the path of the log."""
    lines = _tail(log_file)
    errors = [found.group() for line in lines if (found := _ERROR.search(line)) and "root cause" not in line]
    said = errors[-1] if errors else (lines or ["its log is empty"])[-1]
    return f"{said[:400]} (see {log_file})"


def _tail(log_file: Path) -> list[str]:
    try:
        with log_file.open("rb") as file:
            file.seek(max(0, log_file.stat().st_size - 64 * 1024))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def _environment() -> Mapping[str, str]:
    kept = {k: v for k, v in os.environ.items() if k not in _NOT_INHERITED}
    return {**kept, **{k: v for k, v in _ENVIRONMENT.items() if k not in kept}}


class ServedModel:
    """Starts a server on this machine and asks it. Each worker has its own, so that a worker uses the GPUs it holds."""

    batch = None

    def __init__(self, settings: Chat, identity: ModelIdentity, logs: Path | None = None) -> None:
        """Returns when the server answers. Raises ``ModelError`` with the last error of its log when it does not."""
        serve = settings.serve
        port = serve.port or free_port()
        folder = logs or Path(tempfile.gettempdir()) / f"lapidary-{os.getuid()}"
        self.identity = identity
        self.server = VllmServer(
            command_of(serve, locate(settings.model), identity.name, settings.revision, port),
            port,
            folder / f"vllm-{socket.gethostname()}-{port}.log",
            start_timeout=serve.start_timeout,
            restarts=serve.restarts,
        )
        self.server.start()
        self._client = ServerModel(
            [self.server.url],
            identity,
            concurrency=settings.concurrency,
            timeout=settings.timeout,
            retries=settings.retries,
            # Longer than a restart may take; ``gone`` ends the wait where no restart is left.
            patience=serve.start_timeout + settings.timeout,
            gone=lambda: self.server.gone,
            parameters=settings.parameters,
        )

    def complete(self, requests: Iterable[ChatRequest]) -> Iterator[ChatReply]:
        return self._client.complete(requests)

    def close(self) -> None:
        """Drops what is in flight and ends the server."""
        self._client.close()
        self.server.close()

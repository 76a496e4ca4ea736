"""A run whose Prefect server ends in its middle ends with one line that says so; its own errors stay as they are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

from curation.core.errors import LapidaryError, StoreError
from flows import prefect_server
from flows.prefect_server import PrefectApi, check_server
from tests.support.processes import free_port


class _Server:
    """A process in the place of Prefect's temporary server."""

    def __init__(self, code: str) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", code])


def _with_a_server(api: PrefectApi, code: str) -> Any:
    server: Any = _Server(code)
    api._server = server
    return server.process


def _fails(api: PrefectApi, error: BaseException) -> None:
    try:
        raise error
    except BaseException as raised:
        api.__exit__(type(raised), raised, None)
        raise


def test_a_temporary_server_that_ended_is_named() -> None:
    api = PrefectApi()
    api._url = ""
    _with_a_server(api, "").wait()
    with pytest.raises(LapidaryError, match="Prefect's temporary server ended while the run was under way"):
        _fails(api, ConnectionError("All connection attempts failed"))
    for own in (StoreError("the disk is full"), KeyboardInterrupt()):
        with pytest.raises(type(own)):
            _fails(api, own)


def test_no_step_begins_once_a_temporary_server_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    api = PrefectApi()
    process = _with_a_server(api, "import time; time.sleep(600)")
    monkeypatch.setattr(prefect_server, "_own", [api._server])
    check_server()
    process.kill()
    process.wait()
    with pytest.raises(LapidaryError, match="Prefect's temporary server ended while the run was under way"):
        check_server()


def test_a_server_of_the_settings_that_is_gone_is_named() -> None:
    api = PrefectApi()
    api._url = f"http://127.0.0.1:{free_port()}/api"
    with pytest.raises(LapidaryError, match=r"the Prefect server at http://127\S+ ended .*; start it again"):
        _fails(api, ConnectionError("All connection attempts failed"))


def test_what_is_no_fault_of_a_server_that_runs_is_raised_as_it_is() -> None:
    api = PrefectApi()
    api._url = ""
    process = _with_a_server(api, "import time; time.sleep(600)")
    try:
        with pytest.raises(ZeroDivisionError):
            _fails(api, ZeroDivisionError())
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_who_asks_a_temporary_server_that_was_killed_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run has the server's socket first; with it in its hands, questions would wait for an answer."""
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    with temporary_settings({PREFECT_API_URL: None, PREFECT_HOME: str(tmp_path)}), PrefectApi() as api:
        api.ready()
        assert api._server is not None
        prefect_server._ask(api._server.url)
        api._server.process.kill()
        api._server.process.wait()
        with pytest.raises(OSError, match="refused"):
            prefect_server._ask(api._server.url)
        with pytest.raises(LapidaryError):
            check_server()

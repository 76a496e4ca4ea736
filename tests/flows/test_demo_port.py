"""A demo web that cannot be served ends the command in one line, before any work."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from curation.demo.web import DemoWeb
from flows.demo import main, served
from flows.tasks import EXIT_USAGE


def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one line of a demo that is refused."""
    root = tmp_path / "root"
    assert main(["--root", str(root), "--engine", "local", "--scenes", "2", *words]) == EXIT_USAGE
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and list(tmp_path.iterdir()) == []
    return line


def test_a_port_that_is_in_use_is_named_with_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = refused(tmp_path, capsys, "--port", str(port))
    assert f"port {port} on 127.0.0.1 is in use" in line and "--port" in line


@pytest.mark.parametrize("words", [("--port", "80808"), ("--port", "-1"), ("--scenes", "0")])
def test_numbers_that_cannot_be_served_are_named(
    words: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert words[1] in refused(tmp_path, capsys, *words)


def test_what_the_demo_web_meets_while_it_serves_is_not_taken_for_a_bad_port() -> None:
    with pytest.raises(OSError, match="the disk is full"), served(0, 2, 0) as web:
        assert isinstance(web, DemoWeb)
        raise OSError("the disk is full")
    with socket.create_server(("127.0.0.1", int(web.host_port.rpartition(":")[2]))):
        pass  # its port is free again

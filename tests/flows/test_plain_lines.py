"""What a command prints of the log is one plain line a warning."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from curation.caption.model import checkpoint
from curation.core.errors import LapidaryError, ModelError, UsageError
from flows import tasks
from flows.plain_lines import plain_warnings
from flows.tasks import EXIT_FAILED_SHARDS, EXIT_OK, EXIT_USAGE, dry_run_code, exit_code
from tests.support.no_prefect import NoApi
from tests.support.processes import run


@contextmanager
def logs_of_others() -> Iterator[None]:
    """A root logger with a format of its own, as Prefect sets one up."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s | %(levelname)s | %(name)s - %(message)s"))
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)


def test_the_demo_captioner_s_warning_is_one_plain_line(capfd: pytest.CaptureFixture[str]) -> None:
    checkpoint.warn_of_demo.cache_clear()
    with logs_of_others(), plain_warnings():
        checkpoint.warn_of_demo()
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("the demo captioner is not for real photographs")


HUB = """
import logging, prefect.main
from flows.plain_lines import plain_warnings
for run in range(2):
    with plain_warnings():
        import huggingface_hub  # adds a handler of its own
        for tries in range(1, 6):
            logging.getLogger("huggingface_hub.utils._http").warning("no route to %s", "https://hub.example")
            logging.getLogger("huggingface_hub.utils._http").warning("Retrying in 1s [Retry %d/5].", tries)
        logging.getLogger("huggingface_hub.file_download").warning("not enough space for %d bytes", 9)
"""


def test_the_hub_s_retries_are_one_line_a_command_and_its_other_warnings_a_line_each(tmp_path: Path) -> None:
    done = run([sys.executable, "-c", HUB], tmp_path)
    assert done.returncode == 0, done.stderr
    retrying = "the model hub does not answer, trying again: no route to https://hub.example"
    assert done.stderr.splitlines() == [retrying, "not enough space for 9 bytes"] * 2


def test_untrusted_words_in_a_warning_cannot_steer_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    with plain_warnings():
        logging.getLogger("curation.sources.discover").warning("%s", "a\x1b[2Jb\nc" + " word" * 1000)
    (line,) = capfd.readouterr().err.splitlines()
    assert line.isprintable() and line.startswith("a [2Jb c word") and len(line) < 1100


def test_loggers_are_afterwards_as_they_were(caplog: pytest.LogCaptureFixture) -> None:
    with plain_warnings():
        pass
    with caplog.at_level(logging.WARNING):
        logging.getLogger("curation.any").warning("seen")
        logging.getLogger("huggingface_hub.utils._http").warning("once")
        logging.getLogger("huggingface_hub.utils._http").warning("twice")
    assert caplog.messages == ["seen", "once", "twice"]


@pytest.mark.parametrize(
    ("error", "code"), [(ModelError("a\x1b[2J page"), EXIT_USAGE), (LapidaryError("a\x1b[2J page"), EXIT_FAILED_SHARDS)]
)
def test_errors_cannot_steer_the_terminal(
    error: LapidaryError, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> str:
        raise error

    monkeypatch.setattr(tasks, "PrefectApi", NoApi)
    assert exit_code("root", "again", fail, lambda: EXIT_OK) == code
    assert capsys.readouterr().err.startswith("error: a [2J page\n")
    if isinstance(error, UsageError):
        assert dry_run_code(fail) == code
        assert capsys.readouterr().err == "error: a [2J page\n"


def test_notes_on_a_request_wait_for_the_refusal_that_may_come(capsys: pytest.CaptureFixture[str]) -> None:
    def checked(error: LapidaryError | None, *, released: bool = False) -> list[str]:
        try:
            with plain_warnings() as notes:
                logging.getLogger("curation.sources.discover").warning("a note")
                logging.getLogger("curation.caption.model.probe").warning("waiting")
                assert capsys.readouterr().err == "waiting\n"
                if released:
                    notes.let_go()
                    logging.getLogger("curation.sources.tars").warning("another")
                if error is not None:
                    raise error
        except LapidaryError:
            pass
        return capsys.readouterr().err.splitlines()

    assert checked(UsageError("refused")) == []
    assert checked(LapidaryError("lost")) == ["a note"]
    assert checked(None) == ["a note"]
    assert checked(UsageError("later"), released=True) == ["a note", "another"]

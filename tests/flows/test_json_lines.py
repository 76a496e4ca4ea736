"""With ``--log json`` every line on stderr is a JSON object."""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Iterator

import pytest

from curation.core.errors import LapidaryError, UsageError
from curation.core.job import Outcome
from flows import json_lines, progress
from flows.json_lines import add_log_option, tell
from flows.plain_lines import plain_warnings
from flows.progress import RunProgress
from flows.tasks import dry_run_code


@pytest.fixture
def form() -> Iterator[None]:
    yield
    json_lines.use("plain")


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_log_option(parser)
    return parser.parse_args(words)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


@pytest.mark.usefixtures("form")
def test_progress_warnings_and_errors_are_objects(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert vars(parsed("--log", "json")) == {}
    monkeypatch.setattr(progress, "_LINE_SECONDS", 0.0)
    with RunProgress(artifacts=False) as told:
        told.expect("images", 3)
        told(Outcome(0, "images", "s-0", "done", 5, 4, seconds=1.25))
        told(Outcome(0, "images", "s-1", "skipped"))
        told(Outcome(0, "images", "s-2", "failed", error="boom\x1b[2J\u2028"))
        told.finish(("images",))
    said = lines(capsys)
    shards = [line for line in said if "shard" in line]
    assert [(line["shard"], line["status"], line["level"]) for line in shards] == [
        ("s-0", "done", "info"),
        ("s-2", "failed", "error"),
    ]
    assert (shards[0]["rows_in"], shards[0]["rows_out"], shards[0]["seconds"]) == (5, 4, 1.25)
    tables = [line for line in said if "shards" in line]
    assert tables[-1]["table"] == "images" and tables[-1]["shards"] == 3 and tables[-1]["rows"] == 4
    assert all(str(line["time"]).endswith("+00:00") for line in said)
    with plain_warnings() as notes:
        notes.let_go()
        logging.getLogger("curation.sources").warning("a file is %s", "odd")

    def refused() -> str:
        raise UsageError("--root is empty; name a folder\nor a prefix")

    assert dry_run_code(refused) == 2
    warning, error = lines(capsys)
    assert (warning["level"], warning["message"]) == ("warning", "a file is odd")
    assert error["level"] == "error" and str(error["message"]).startswith("error: --root is empty")


@pytest.mark.usefixtures("form")
def test_a_later_command_of_the_process_says_plain_lines_again(capsys: pytest.CaptureFixture[str]) -> None:
    parsed("--log", "json")
    parsed()
    tell(str(LapidaryError("a plain line")), "error", table="images")
    assert capsys.readouterr().err == "a plain line\n"
    with pytest.raises(SystemExit):
        parsed("--log", "xml")

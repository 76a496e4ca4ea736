"""Whole runs on servers that fail for a while: no row is lost, no reply is paid for twice, the end is the same."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from curation.catalog import connect
from curation.core.errors import TooManyLost
from curation.core.store import Store
from curation.demo.render import jpeg
from curation.demo.world import scene
from tests.support.chat_server import MODEL, Answer, ChatServer, Fault, chat_server, completion
from tests.support.runs import counted, refine
from tests.support.toy import fingerprint

COUNT = 9
POISON = 4
SAID = (
    "A large {} circle stands in front of a pale green wall, and two small blue boxes lie on a brown floor to its "
    "left. A thin white line runs along the bottom of the scene."
)
COLOURS = ("red", "green", "blue", "yellow", "white", "black", "brown", "grey", "orange")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("pictures")
    for i in range(COUNT):
        (base / f"{i}.jpg").write_bytes(jpeg(scene(23, i)))
        (base / f"{i}.txt").write_text(f"picture {i}")
    return base


def number_of(body: dict[str, Any]) -> int:
    """Which picture a request is about; -1 for the preflight's."""
    text = json.dumps(body)
    return next((i for i in range(COUNT) if base64.b64encode(jpeg(scene(23, i))).decode() in text), -1)


def reply(body: dict[str, Any]) -> str:
    return SAID.format(COLOURS[number_of(body)])


def settings(server: ChatServer, *more: str) -> list[str]:
    return [
        "caption.backend=server",
        f'caption.endpoints=["{server.url}"]',
        f"caption.model={MODEL}",
        "caption.retries=0",
        "caption.timeout=20",
        "caption.concurrency=4",
        "source.shard_rows=5",
        "export.shard_size=5",
        "export.val=0",
        "export.test=0",
        "check.names=ignore",
        *more,
    ]


def fates(root: Path) -> dict[str, tuple[str, str | None]]:
    with connect(str(root)) as connection:
        found = connection.execute("SELECT alt_text, fate, detail FROM samples").fetchall()
    return {alt_text: (fate, detail) for alt_text, fate, detail in found}


PASSING: dict[str, str | Answer] = {
    "out of memory": Answer({"error": {"message": "CUDA out of memory", "code": 500}}, 500),
    "time-out": "hang",
    "reset": "reset",
    "half": "half",
    "error in a 200": Answer({"error": {"message": "lost its upstream", "code": 502}}),
    "aborted": Answer(completion("A large red circle", "abort")),
    "thinking": Answer(completion(None, "length", reasoning_content="Okay, so")),
}


@pytest.fixture(scope="module")
def whole(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of a run whose server was well."""
    root = tmp_path_factory.mktemp("whole")
    with chat_server(reply=reply) as well:
        refine(str(root), str(folder), settings(well))
    return root


@pytest.mark.parametrize("how", PASSING)
def test_a_passing_failure_costs_a_row_until_the_next_run_and_no_other_row_anything(
    how: str, folder: Path, whole: Path, tmp_path: Path
) -> None:
    sick = [True]
    patience = "caption.timeout=8" if how == "time-out" else "caption.timeout=20"

    def fault(_: int, body: dict[str, Any]) -> str | Answer | None:
        return PASSING[how] if sick[0] and number_of(body) == POISON else None

    with chat_server(fault=fault, reply=reply) as server:
        outcomes = refine(str(tmp_path), str(folder), settings(server, patience))
        first = fates(tmp_path)
        asked = len(server.asked)
        sick[0] = False
        again = refine(str(tmp_path), str(folder), settings(server))
        later = [number_of(body) for body in server.asked[asked:] if number_of(body) >= 0]
    assert [(o.table, o.shard[-5:]) for o in outcomes if o.status == "failed"] == [("captions", "00000")]
    assert [f for f, (fate, _) in first.items() if fate != "kept"] == [f"picture {POISON}"]
    fate, detail = first[f"picture {POISON}"]
    assert fate == "failed" and detail and "the same command asks again" in detail
    assert later == [POISON]
    assert [o for o in again if o.status == "failed"] == []
    assert counted(str(tmp_path)).kept == COUNT
    tables = [fingerprint(Store(str(root)), "tables/captions", "tables/caption_checks") for root in (tmp_path, whole)]
    assert tables[0] == tables[1]


REJECTING: dict[str, tuple[Answer, str]] = {
    "refused": (Answer({"error": {"message": "the image is too large", "code": 400}}, 400), "model_refused_request"),
    "filtered": (Answer(completion(None, "content_filter")), "content_filter"),
    "empty": (Answer(completion("")), "invalid_reply"),
}


@pytest.mark.parametrize("how", REJECTING)
def test_what_is_about_the_sample_is_decided_once(how: str, folder: Path, tmp_path: Path) -> None:
    answer, reason = REJECTING[how]

    def fault(_: int, body: dict[str, Any]) -> Answer | None:
        return answer if number_of(body) == POISON else None

    with chat_server(fault=fault, reply=reply) as server:
        outcomes = refine(str(tmp_path), str(folder), settings(server))
        asked = len(server.asked)
        refine(str(tmp_path), str(folder), settings(server))
        assert [number_of(body) for body in server.asked[asked:] if number_of(body) >= 0] == []
    assert [o for o in outcomes if o.status == "failed"] == []
    assert counted(str(tmp_path)).kept == COUNT - 1
    with connect(str(tmp_path)) as connection:
        assert connection.execute("SELECT reason FROM samples WHERE fate = 'rejected'").fetchall() == [(reason,)]


def test_a_run_that_loses_too_much_stops_before_anything_is_decided(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("curation.core.losses.LEAST_ROWS", 4)
    refusal = Answer({"error": {"message": "unsupported image", "code": 400}}, 400)
    sick: list[Callable[[int], bool]] = [lambda number: number >= 0]
    fault: Fault = lambda _, body: refusal if sick[0](number_of(body)) else None  # noqa: E731
    with chat_server(fault=fault, reply=reply) as server:
        with pytest.raises(TooManyLost, match=r"recaption .* model_refused_request .*unsupported image.*stop_at_share"):
            refine(str(tmp_path), str(folder), settings(server))
        sick[0] = lambda _: False
        refine(str(tmp_path), str(folder), settings(server))
        assert counted(str(tmp_path)).kept == COUNT
        sick[0] = lambda number: number >= 0
        refine(str(tmp_path / "go-on"), str(folder), settings(server, "run.stop_at_share=1"))
        assert counted(str(tmp_path / "go-on")).kept == 0

"""A law: the API key stands in no message, log, table, manifest or repr, whatever a server does with it."""

from __future__ import annotations

import contextlib
import logging
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from curation.caption.model.chat import ChatRequest
from curation.caption.model.open import build_model
from curation.caption.recaption_stage import RecaptionStage
from curation.core.engines.local import LocalEngine
from curation.core.errors import LapidaryError
from curation.core.pipeline import run_segment
from curation.core.store import Store
from schemas.chat import Captioning
from schemas.manifest import ShardEntry
from schemas.records import Duplicate, ImageRow, SourceRow
from tests.support.chat_server import MODEL, Answer, Fault, chat_server, completion, events
from tests.support.keepers import SHARD, root_with_keepers

KEY = "marked/secret+key-7f3a91c2"
SAID = f"you sent Bearer {KEY} as {quote(KEY, safe='')}"
ECHOES: dict[str, Answer] = {
    **{
        f"status {s}": Answer({"error": {"message": SAID, "code": SAID}}, s)
        for s in (400, 401, 403, 404, 422, 429, 500)
    },
    "text with a status": Answer(SAID, 400, kind="text/plain"),
    "detail": Answer({"detail": [{"msg": SAID, "input": SAID}]}, 422),
    "error in a 200": Answer({"error": {"message": SAID, "code": 500}}),
    "unnamed error in a 200": Answer({"error": SAID}),
    "no JSON": Answer(SAID),
    "no completion": Answer({SAID: SAID}),
    "no choice": Answer({"choices": [], "id": SAID}),
    "an unknown end": Answer(completion("half", SAID)),
    "a filter": Answer(completion("half", "content_filter", refusal=SAID)),
    "a refusal": Answer(completion(None, refusal=SAID)),
    "a reply": Answer(completion(f"A red ball and {SAID}.")),
    "thinking": Answer(completion(None, "length", reasoning_content=SAID)),
    "a stream": events(SAID),
    "a stream that breaks off": events(SAID, finish=None),
    "a stream with an error": Answer(f'data: {{"error": "{SAID}"}}\n\n', kind="text/event-stream"),
    "a redirect": Answer("", 307, f"Location: https://other/v1?key={quote(KEY, safe='')}\r\n"),
    "a redirect by path": Answer("", 308, f"Location: https://other/{KEY}/v1\r\n"),
}


def recipe(url: str) -> Captioning:
    return Captioning(
        backend="server", model=MODEL, endpoints=[url], api_key_env="SOME_KEY", retries=0, timeout=1.0, concurrency=2
    )


def work(url: str, root: Path) -> list[str]:
    """Everything that people may come to read of a run: errors with their traces, reprs, and all files of the root."""
    read: list[str] = []

    def catch(done: Callable[[], object]) -> None:
        try:
            read.append(repr(done()))
        except LapidaryError as error:
            read.append("".join(traceback.format_exception(error)) + repr(error))

    store = Store(str(root))
    root_with_keepers(store, ["a red ball", "two books"])
    for record in (SourceRow, ImageRow, Duplicate):
        store.commit(
            ShardEntry(record.table, SHARD, "d", {}, {store.table_file(record.table, SHARD): ""}, 2, 2, 0, 0, "t")
        )
    made: list[RecaptionStage] = []
    catch(lambda: made.append(RecaptionStage.of(recipe(url))) or made)
    for stage in made:
        catch(stage.check)
        catch(lambda stage=stage: run_segment(store, LocalEngine(), [stage], [SHARD], lambda o: read.append(repr(o))))
        model = build_model(stage.recipe, stage.model)
        catch(lambda model=model: list(model.complete([ChatRequest("k", "u")])))
        read.append(f"{model!r} {vars(model)!r}")
        model.close()
    read += [path.read_bytes().decode("latin-1") for path in root.rglob("*") if path.is_file()]
    return read


def assert_hidden(read: list[str], caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
    printed = capsys.readouterr()
    everything = "\n".join([*read, caplog.text, printed.out, printed.err])
    for spelling in (KEY, quote(KEY, safe=""), KEY.replace("/", "\\/"), "secret+key"):
        assert spelling not in everything


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("SOME_KEY", KEY)
    caplog.set_level(logging.INFO)


def after_the_preflight(answer: Answer) -> Fault:
    return lambda number, _: answer if number > 3 else None


@pytest.mark.parametrize("echo", ECHOES)
@pytest.mark.parametrize("when", ["list", "preflight", "run"])
def test_what_a_server_quotes_of_the_key_is_cut_out(
    echo: str,
    when: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("curation.caption.model.preflight._TRIES", 1)
    answer = ECHOES[echo]
    settings: dict[str, Any] = {
        "list": {"models": answer},
        "preflight": {"fault": lambda *_: answer},
        "run": {"fault": after_the_preflight(answer)},
    }[when]
    with chat_server(**settings) as server:
        read = work(server.url, tmp_path)
        assert any(KEY in head for head in server.headers + server.headers_of_models)  # it was sent
    assert_hidden(read, caplog, capsys)


@pytest.mark.parametrize("how", ["refused", "hang", "reset", "tls", "bad host", "bad key", "blanks", "in the address"])
def test_a_server_that_cannot_be_reached_shows_no_key(
    how: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with contextlib.ExitStack() as stack:
        fault = how if how in ("hang", "reset") else None
        server = stack.enter_context(chat_server(fault=lambda number, _: fault if number > 3 else None))
        url = server.url
        match how:
            case "refused":
                server.stop()
            case "tls":
                url = url.replace("http:", "https:")
            case "bad host":
                url = "http://no-such-host.invalid/v1"
            case "bad key":
                monkeypatch.setenv("SOME_KEY", f"{KEY}\n{KEY}")
            case "blanks":
                monkeypatch.setenv("SOME_KEY", f" {KEY}\r\n")
            case "in the address":
                url = url.replace("http://", f"http://user:{KEY}@")
        read = work(url, tmp_path)
    assert_hidden(read, caplog, capsys)

"""The server of a page: a token opens it, and it only reads."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from curation.catalog import connect
from curation.report import serving, web
from curation.report.rows import read_rows
from curation.report.serving import MOST_ROWS, Served, serve
from tests.support.roots import World, make_world, release
from tests.support.toy import fingerprint


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = make_world(str(tmp_path_factory.mktemp("served") / "root"))
    release(made)
    return made


@pytest.fixture(scope="module")
def served(world: World) -> Iterator[Served]:
    with serve(world.store.url) as found:
        yield found


def ask(
    served: Served, path: str, method: str = "GET", token: str | None = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    address = urlsplit(served.url)
    known = address.path.strip("/") if token is None else token
    connection = http.client.HTTPConnection(address.hostname or "", address.port or 0, timeout=30)
    connection.request(method, f"/{known}/{path}", headers=headers)
    answer = connection.getresponse()
    found = answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    connection.close()
    return found


def rows(served: Served, **asked: object) -> tuple[int, list[dict[str, object]]]:
    query = "&".join(f"{k}={quote(str(v))}" for k, v in asked.items())
    status, _, data = ask(served, f"rows?{query}")
    assert status == 200
    found = json.loads(data)
    return found["found"], found["rows"]


def test_nothing_is_answered_without_the_token(served: Served) -> None:
    own = urlsplit(served.url).path.strip("/")
    for token in ("", "x", own[:-1], own + "x", own.swapcase(), "é"):
        for path in ("", "rows", "icon.svg", "thumbnails/" + "0" * 32 + ".jpg"):
            assert ask(served, path, token=quote(token))[0] == 403
    assert ask(served, "")[0] == 200 and len(own) >= 32


def test_another_name_of_this_machine_is_refused(served: Served) -> None:
    port = urlsplit(served.url).port
    assert ask(served, "", Host=f"evil.example:{port}")[0] == 403
    assert ask(served, "", Host=f"localhost:{port}")[0] == 200


def test_it_listens_on_this_machine_alone(served: Served) -> None:
    assert served.server.server_address[0] == "127.0.0.1"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_it_only_reads(served: Served, method: str) -> None:
    assert ask(served, "rows", method)[0] == 501


def test_a_root_is_the_same_after_it_was_looked_at(served: Served, world: World) -> None:
    before = fingerprint(world.store, "")
    found, some = rows(served)
    assert found and ask(served, str(some[0].get("picture", "icon.svg")))[0] == 200
    assert ask(served, "")[0] == 200
    assert fingerprint(world.store, "") == before


def test_filters_find_what_the_catalog_finds(served: Served, world: World) -> None:
    with connect(world.store.url) as catalog:
        lines = catalog.execute("SELECT stage, reason, fate, count(*) FROM samples GROUP BY ALL").fetchall()
        for stage, reason, fate, count in lines:
            found, some = rows(served, stage=stage, fate=fate, **({"reason": reason} if reason else {}))
            assert found == count and {r["fate"] for r in some} == {fate}
        texts = catalog.execute("SELECT alt_text, caption, url, sample_id, detail, source_file FROM samples").fetchall()
    for words in ("alt TEXT 3 of", "PART-1", "http 404", "x-robots noai", "nothing has this"):
        fitting = [t for t in texts if all(w in "\n".join(filter(None, t)).lower() for w in words.lower().split())]
        assert rows(served, q=words)[0] == len(fitting)


@pytest.mark.parametrize(
    "text", ["'", "' OR 1=1 --", "%", "_", "\\", "\x00", "); DROP TABLE listed; --", "🙂" * 300, "a " * 500]
)
def test_no_text_of_a_question_gets_into_a_statement(served: Served, text: str) -> None:
    everything, _ = rows(served)
    for name in ("q", "fate", "stage", "reason", "split", "limit", "offset"):
        status, _, data = ask(served, f"rows?{name}={quote(text)}")
        assert status == 200
        assert json.loads(data)["found"] == (everything if name in ("limit", "offset") else 0) or name == "q"
    assert rows(served)[0] == everything


def test_pages_of_rows_are_all_rows_once(served: Served, world: World) -> None:
    seen = []
    for offset in range(0, len(world.expected), 7):
        seen += [(r["file"], r["row"]) for r in rows(served, offset=offset, limit=7)[1]]
    assert seen == sorted(world.expected)
    assert len(rows(served, limit=10**8)[1]) == min(MOST_ROWS, len(world.expected))


def test_every_picture_that_is_named_is_there(served: Served) -> None:
    named = [str(r["picture"]) for r in rows(served, fate="kept")[1]]
    assert named
    for name in named:
        status, headers, data = ask(served, name)
        assert (status, headers["content-type"]) == (200, "image/jpeg") and data[:2] == b"\xff\xd8"
    for other in ("thumbnails/" + "0" * 32 + ".jpg", "thumbnails/..%2f..%2frecipe.toml", "../recipe.toml", "x"):
        assert ask(served, other)[0] == 404


def test_answers_forbid_what_they_need_not(served: Served) -> None:
    _, headers, _ = ask(served, "")
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
    for path in ("", "rows"):
        _, headers, _ = ask(served, path)
        assert headers["cache-control"] == "no-store" and headers["referrer-policy"] == "no-referrer"
        assert headers["x-content-type-options"] == "nosniff"


def test_a_server_that_is_closed_amid_a_question_answers_it_first(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, closing = threading.Event(), threading.Event()

    def slow(*given: Any) -> Any:
        begun.set()
        closing.wait(10)
        return read_rows(*given)

    server = serve(world.store.url)
    monkeypatch.setattr(serving, "read_rows", slow)
    with ThreadPoolExecutor(2) as pool:
        with server:
            asked = pool.submit(rows, server)
            assert begun.wait(10)
            later = pool.submit(server.server.answers.rows, {})
            threading.Timer(0.3, closing.set).start()
        found, seen = asked.result()
        assert found >= len(seen) > 0
        with contextlib.suppress(web.Ended):  # it may have had its turn, or not
            later.result()
        with pytest.raises(web.Ended):
            server.server.answers.rows({})


def test_a_folder_that_is_no_root_is_refused(tmp_path: Path) -> None:
    from curation.core.errors import RootError

    with pytest.raises(RootError):
        serve(str(tmp_path))

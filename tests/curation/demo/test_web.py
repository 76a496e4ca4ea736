"""The demo web over real HTTP: every page behaves as its truth says."""

from __future__ import annotations

import asyncio
import http.client
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image as Pictures

from curation.demo import serving
from curation.demo.fates import load_truth
from curation.demo.pages import COPIES, SHARES, Page
from curation.demo.web import SCHEMA, DemoWeb
from schemas.ids import sample_id
from schemas.reasons import Fate, Reason

SCENES = 90


@pytest.fixture(scope="module")
def web() -> Iterator[DemoWeb]:
    with DemoWeb(1, SCENES) as web:
        yield web


def _get(web: DemoWeb, path: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    host, port = web.host_port.split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
    finally:
        connection.close()


def _pages(web: DemoWeb, trouble: str) -> list[Page]:
    return [p for p in web.pages if p.trouble == trouble]


def test_every_trouble_occurs(web: DemoWeb) -> None:
    assert {p.trouble for p in web.pages} == {"none", *SHARES, *COPIES}


@pytest.mark.parametrize(("trouble", "status"), [("404", 404), ("410", 410), ("always 500", 500)])
def test_failing_pages_fail_each_time(web: DemoWeb, trouble: str, status: int) -> None:
    for page in _pages(web, trouble):
        assert [_get(web, page.path)[0] for _ in range(3)] == [status] * 3


@pytest.mark.parametrize(("trouble", "status"), [("429 then fine", 429), ("500 then fine", 500)])
def test_some_pages_fail_once_after_each_start(trouble: str, status: int) -> None:
    web = DemoWeb(1, SCENES)
    path = _pages(web, trouble)[0].path
    for _ in range(2):
        with web:
            assert [_get(web, path)[0] for _ in range(3)] == [status, 200, 200]


def test_a_chain_of_redirects_ends_at_the_picture(web: DemoWeb) -> None:
    path, seen = _pages(web, "redirect chain")[0].path, []
    while True:
        status, headers, body = _get(web, path)
        seen.append(status)
        if status != 302:
            break
        path = headers["location"]
    assert seen == [302, 302, 302, 200]
    assert Pictures.open(io.BytesIO(body)).format == "JPEG"


def test_redirects_that_lead_nowhere_good(web: DemoWeb) -> None:
    loop = _pages(web, "redirect loop")[0]
    assert _get(web, loop.path)[1]["location"] == loop.path
    for page in _pages(web, "redirect to a private address"):
        status, headers, _ = _get(web, page.path)
        assert status == 302
        assert headers["location"].startswith(("http://169.254.", "http://127.0.0.1:", "http://10."))
        assert web.host_port not in headers["location"]


def test_the_trap_counts_who_steps_in() -> None:
    with DemoWeb(1, SCENES) as web:
        assert web.trapped == 0
        port = web._server._trap_port
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            client.recv(1)
        assert web.trapped == 1


def test_broken_bodies_are_broken(web: DemoWeb) -> None:
    with pytest.raises(http.client.IncompleteRead):
        _get(web, _pages(web, "truncated")[0].path)
    assert _get(web, _pages(web, "empty body")[0].path)[2] == b""
    _, headers, body = _get(web, _pages(web, "html")[0].path)
    assert headers["content-type"].startswith("text/html")
    assert body.startswith(b"<!DOCTYPE html>")


def test_an_endless_page_drips_until_the_client_leaves(web: DemoWeb) -> None:
    host, port = web.host_port.split(":")
    with socket.create_connection((host, int(port)), timeout=5) as client:
        client.sendall(f"GET {_pages(web, 'endless')[0].path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        got = b""
        while len(got.partition(b"\r\n\r\n")[2]) < 4:
            got += client.recv(4096)
    assert b"Content-Length: 10000000" in got
    assert len(got) < 1000


def test_slow_pages_are_slow_and_whole(web: DemoWeb, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    async def count(seconds: float) -> None:
        waits.append(seconds)
        await asyncio.sleep(0)

    monkeypatch.setattr(serving, "sleep", count)
    for trouble, seconds, times in (("slow", serving.SLOW_SECONDS, 1), ("slow drip", serving.DRIP_SECONDS, 10)):
        waits.clear()
        _, headers, body = _get(web, _pages(web, trouble)[0].path)
        assert waits.count(seconds / times) == times  # an endless page of another test may still wait
        assert len(body) == int(headers["content-length"])


def test_opt_outs_stand_in_the_headers(web: DemoWeb) -> None:
    assert "noai" in _get(web, _pages(web, "noai header")[0].path)[1]["x-robots-tag"]
    assert _get(web, _pages(web, "tdm reservation")[0].path)[1]["tdm-reservation"] == "1"


def test_odd_files_are_what_they_are_called(web: DemoWeb) -> None:
    def opened(trouble: str) -> Pictures.Image:
        return Pictures.open(io.BytesIO(_get(web, _pages(web, trouble)[0].path)[2]))

    assert opened("png").format == "PNG"
    assert opened("webp").format == "WEBP"
    assert opened("cmyk jpeg").mode == "CMYK"
    assert opened("grey jpeg").mode == "L"
    assert opened("exif rotated").getexif()[0x0112] == 6
    palette = opened("palette with alpha")
    assert palette.mode == "P"
    assert "transparency" in palette.info
    assert getattr(opened("animated gif"), "n_frames", 1) == 3
    assert min(opened("too small").size) == 120
    assert max(opened("extreme aspect").size) > 3 * min(opened("extreme aspect").size)
    assert min(opened("large").size) > 512
    deep = _get(web, _pages(web, "16-bit png")[0].path)[2]
    assert deep[24] == 16  # bit depth in the PNG header
    huge = _get(web, _pages(web, "too many pixels")[0].path)[2]
    assert huge[16:24] == (30_000).to_bytes(4, "big") * 2


def test_copies_are_copies(web: DemoWeb) -> None:
    by_number = {p.number: p for p in web.pages if p.trouble != "repeated row"}
    for page in web.pages:
        if page.copy_of is None:
            continue
        original = by_number[page.copy_of]
        same = _get(web, page.path)[2] == _get(web, original.path)[2]
        assert same == (page.trouble != "near duplicate")
        assert (page.path == original.path) == (page.trouble == "repeated row")


def test_the_list_is_laions_and_the_truth_knows_each_row(web: DemoWeb, tmp_path: Path) -> None:
    parts = web.write(tmp_path)
    truth = load_truth(tmp_path / "truth.jsonl")
    assert truth == web.truth
    rows = [(p.name, i, r) for p in parts for i, r in enumerate(pq.read_table(p).to_pylist())]
    assert pq.read_table(parts[0]).schema.equals(SCHEMA)
    assert len(rows) == len(truth)
    for (file, number, row), found in zip(rows, truth, strict=True):
        assert (found.source_file, found.source_row) == (file, number)
        assert (found.url, found.alt_text) == (row["URL"] or "", row["TEXT"])
        assert found.sample_id == sample_id(found.url, found.alt_text)
        assert (found.fate is Fate.KEPT) == (found.reason is None) == (found.stage is None)
        assert found.shown().objects
    reasons = {t.reason for t in truth}
    assert {Reason.REPEATED_ROW, Reason.EXACT_DUPLICATE, Reason.NEAR_DUPLICATE, Reason.HTTP_404, None} <= reasons
    assert 0.4 < sum(t.fate is Fate.KEPT for t in truth) / len(truth) < 0.9


def test_the_same_seed_serves_the_same_bytes() -> None:
    one, other = DemoWeb(5, 20, port=0), DemoWeb(5, 20, port=0)
    assert one.pages == other.pages
    assert [one.studio.body(p) for p in one.pages] == [other.studio.body(p) for p in other.pages]
    assert DemoWeb(6, 20).pages != one.pages


def test_troubles_can_be_left_out_and_wrong_names_are_refused() -> None:
    web = DemoWeb(0, 100, without=["endless", "near duplicate"])
    assert not {"endless", "near duplicate"} & {p.trouble for p in web.pages}
    with pytest.raises(ValueError, match="no such trouble"):
        DemoWeb(0, 100, without=["endles"])
    with pytest.raises(ValueError, match="at least one of each"):
        DemoWeb(0, 0)


def test_the_smallest_webs_have_all_their_files(tmp_path: Path) -> None:
    for scenes in (1, 2, 5):
        with DemoWeb(0, scenes, parts=4) as web:
            parts = web.write(tmp_path / str(scenes))
            assert len(parts) == min(4, scenes)
            assert sum(pq.read_metadata(p).num_rows for p in parts) == len(web.truth) >= scenes


def test_unknown_paths_methods_and_nonsense_do_no_harm(web: DemoWeb) -> None:
    assert _get(web, "/nothing.jpg")[0] == 404
    assert _get(web, "/hop/x/i/000001.jpg")[0] == 404
    assert _get(web, "/robots.txt")[2].startswith(b"User-agent")
    assert _get(web, "/", "POST")[0] == 405
    plain = _pages(web, "none")[0].path
    status, headers, body = _get(web, plain, "HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["content-length"]) > 1000
    host, port = web.host_port.split(":")
    for nonsense in (b"\x00\xff\r\n\r\n", b"GET\r\n\r\n", b"A" * 100_000, b""):
        with socket.create_connection((host, int(port)), timeout=5) as client:
            client.sendall(nonsense)
    assert _get(web, plain)[0] == 200


def test_a_stopped_web_leaves_nothing_behind() -> None:
    before = threading.active_count()
    with DemoWeb(1, SCENES) as web:
        port = int(web.host_port.split(":")[1])
        hanging = socket.create_connection(("127.0.0.1", port), timeout=5)
        path = _pages(web, "endless")[0].path
        hanging.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        hanging.recv(100)  # the page has no end: leaving the block proves that nobody waits for it
    assert threading.active_count() == before
    hanging.close()
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", port))


def test_a_taken_port_is_an_error(web: DemoWeb) -> None:
    port = int(web.host_port.split(":")[1])
    with pytest.raises(OSError, match="address already in use"), DemoWeb(1, 5, port=port):
        pass


def test_the_command_writes_serves_and_stops(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "curation.demo.web", "--scenes", "12", "--write", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ) as web:
        assert web.stdout is not None
        base = web.stdout.readline().strip()
        host, port = base.removeprefix("http://").split(":")
        fields = [json.loads(line) for line in (tmp_path / "truth.jsonl").read_text().splitlines()]
        url = next(t["url"] for t in fields if t["fate"] == "kept")
        assert url.startswith(base)
        connection = http.client.HTTPConnection(host, int(port), timeout=10)
        connection.request("GET", url.removeprefix(base))
        assert connection.getresponse().status in (200, 302, 429, 500)
        connection.close()
        web.send_signal(signal.SIGTERM)
        assert web.wait(timeout=10) == 0


def test_the_command_names_what_is_wrong() -> None:
    command = [sys.executable, "-m", "curation.demo.web", "--scenes", "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "at least one of each" in done.stderr

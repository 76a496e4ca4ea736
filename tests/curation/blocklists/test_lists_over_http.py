"""Lists over http: one request, and what goes wrong is said in one line, never taken for a list."""

from __future__ import annotations

import gzip
from collections.abc import Iterator

import pytest

from curation.blocklists import reading
from curation.blocklists.reading import read_list
from curation.core.errors import SourceError
from tests.support.hostile_web import HostileWeb, Page, Visit, body, gzipped, redirect, status

LISTED = b"# bad hosts\n\nbad.example\nworse.example\n"


@pytest.fixture
def web() -> Iterator[HostileWeb]:
    with HostileWeb() as served:
        yield served


def cut(visit: Visit) -> bool:
    """Half of what was announced."""
    visit.send(b"HTTP/1.1 200 X\r\nContent-Length: 90\r\n\r\n" + LISTED)
    return False


def cut_chunk(visit: Visit) -> bool:
    """Without the last chunk."""
    visit.send(b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (len(LISTED), LISTED))
    return False


def silent(visit: Visit) -> bool:
    """Some of it, and then nothing."""
    visit.send(b"HTTP/1.1 200 X\r\nContent-Length: 90\r\n\r\n" + LISTED)
    visit.stopping.wait(20)
    return False


@pytest.mark.parametrize("page", [body(LISTED), body(gzip.compress(LISTED)), gzipped(LISTED)])
def test_a_list_is_asked_for_once(page: Page, web: HostileWeb) -> None:
    found = read_list("hosts", web.page("/hosts", page))
    assert sorted(found["line"].to_pylist()) == [3, 4]
    assert [(visit.method, visit.path) for visit in web.visits] == [("GET", "/hosts")]


def test_a_list_that_moved_is_read_where_it_is(web: HostileWeb) -> None:
    web.page("/new", body(LISTED))
    assert read_list("hosts", web.page("/old", redirect("/new"))).num_rows == 2


@pytest.mark.parametrize(
    ("page", "told"),
    [
        (status(503), "cannot be read: HTTP status 503; .*wait until"),
        (status(429), "cannot be read: HTTP status 429; .*wait until"),
        (status(403), "cannot be read: HTTP status 403; .*wait until"),
        (status(404), "does not exist; correct the path"),
        (body(b""), "is empty: not a byte came; .*wait until"),
        (cut, "cannot be read: .*wait until"),
        (cut_chunk, "cannot be read: .*wait until"),
        (body(gzip.compress(LISTED)[:-9]), "damaged gzip"),
        (body(b"<html><body>back soon</body></html>"), "line 1: .*expected: a host"),
    ],
)
def test_a_failure_is_said_in_one_line(page: Page, told: str, web: HostileWeb) -> None:
    with pytest.raises(SourceError, match=rf"^blocklists\.hosts: http\S*/hosts\b.*{told}") as raised:
        read_list("hosts", web.page("/hosts", page))
    assert "\n" not in str(raised.value)


def test_a_server_that_falls_silent_is_given_up(web: HostileWeb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_SILENT", 0.2)
    with pytest.raises(SourceError, match=r"cannot be read: .*nothing came for 0\.2; .*wait until"):
        read_list("hosts", web.page("/hosts", silent))

"""The seams that img2dataset calls, and what keeps decoding within bounds."""

from __future__ import annotations

import io
import threading
import time
import urllib.request
from typing import Any

import pytest

from curation.fetch.limiter import DecodeRoom
from curation.fetch.opener import RowFailed, installed, reference, row_of
from curation.fetch.resizer import Resized, RowResizer


class Run:
    def open(self, row: int) -> bytes:
        if row == 13:
            raise RowFailed("http_404")
        return b"%d" % row

    def resized(self, row: int) -> Resized:
        return b"jpeg %d" % row, 1, 2, 3, 4, None


def test_the_resizer_hands_over_what_its_row_became() -> None:
    assert RowResizer(Run())(io.BytesIO(b"17")) == (b"jpeg 17", 1, 2, 3, 4, None)


def test_urllib_asks_us_for_rows() -> None:
    with installed() as opener, opener.serving(Run()) as name:
        with urllib.request.urlopen(urllib.request.Request(reference(name, 17)), timeout=1) as answer:
            assert answer.read() == b"17"
        with pytest.raises(RowFailed, match="http_404"):
            urllib.request.urlopen(reference(name, 13))
        assert row_of(reference(name, 17)) == 17


def test_a_shard_that_is_over_is_not_served() -> None:
    with installed() as opener:
        with opener.serving(Run()) as name:
            pass
        with pytest.raises(RowFailed, match="over"):
            urllib.request.urlopen(reference(name, 1))


def test_two_users_share_one_opener_and_the_last_one_restores() -> None:
    before: Any = urllib.request._opener
    with installed() as one:
        with installed() as other:
            assert one is other
        assert urllib.request._opener is one
    assert urllib.request._opener is before


@pytest.mark.parametrize(("each", "at_once"), [(10, 4), (30, 3), (60, 1), (1000, 1)])
def test_no_more_is_decoded_at_once_than_there_is_room_for(each: int, at_once: int) -> None:
    room = DecodeRoom(pixels=100, images=4)
    inside = 0
    most = 0
    lock = threading.Lock()

    def decode() -> None:
        nonlocal inside, most
        with room(each):
            with lock:
                inside += 1
                most = max(most, inside)
            time.sleep(0.01)
            with lock:
                inside -= 1

    threads = [threading.Thread(target=decode) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
    assert not any(t.is_alive() for t in threads)
    assert most == at_once


def test_an_error_inside_gives_the_room_back() -> None:
    room = DecodeRoom(pixels=10, images=1)
    with pytest.raises(ZeroDivisionError), room(10):
        raise ZeroDivisionError
    with room(10):
        pass

"""A run that loses more than a share of its rows to one reason stops, and says which."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from curation.core.errors import TooManyLost
from curation.core.losses import LEAST_ROWS, Losses
from schemas.reasons import Reason


def lose(losses: Losses, rows: int, every: int, reason: Reason | None = Reason.INVALID_REPLY) -> int:
    """Counts rows of which every second, third … is lost; returns after how many it stopped."""
    for row in range(1, rows + 1):
        try:
            losses.count(reason if row % every == 0 else None, "what was found")
        except TooManyLost:
            return row
    return rows


@pytest.mark.parametrize(
    ("share", "every", "stops"),
    [(0.5, 1, LEAST_ROWS), (0.5, 2, 5000), (0.4, 2, LEAST_ROWS), (1.0, 1, 5000), (0.999, 1, LEAST_ROWS)],
)
def test_it_stops_above_the_share_and_not_before_enough_rows(share: float, every: int, stops: int) -> None:
    assert lose(Losses("recaption", share), 5000, every) == stops


def test_rows_lost_to_different_reasons_do_not_add_up() -> None:
    losses = Losses("recaption", 0.5)
    for reason in (Reason.INVALID_REPLY, Reason.CONTENT_FILTER, Reason.MODEL_ERROR) * 500:
        losses.count(reason, "x")
    assert losses.rows == 1500


def test_the_message_names_stage_reason_detail_and_key() -> None:
    losses = Losses("recaption", 0.5)
    with pytest.raises(TooManyLost, match=r"recaption lost 200 of 200 .* invalid_reply \(an empty reply\)") as error:
        for _ in range(LEAST_ROWS):
            losses.count(Reason.INVALID_REPLY, "an empty reply")
    assert "run.stop_at_share" in str(error.value) and "\n" not in str(error.value)


def test_threads_count_together() -> None:
    losses = Losses("recaption", 1.0)
    ready = threading.Barrier(4)

    def many(_: int) -> None:
        ready.wait()
        for _ in range(1000):
            losses.count(Reason.MODEL_ERROR, None)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(many, range(4)))
    assert (losses.rows, losses.lost[Reason.MODEL_ERROR]) == (4000, 4000)


def test_one_dead_host_among_many_stops_nothing_and_one_reason_on_many_hosts_does() -> None:
    dead = Losses("download", 0.5, "rows")
    for row in range(2000):
        dead.count(Reason.TIMEOUT if row % 10 else None, "x", "dead.example" if row % 10 else f"host{row}.example")
    assert dead.lost[Reason.TIMEOUT] == 1800
    everywhere = Losses("download", 0.5, "rows")
    with pytest.raises(TooManyLost, match=r"download lost 200 of 200 rows to one reason, timeout"):
        for row in range(2000):
            everywhere.count(Reason.TIMEOUT, "x", f"host{row % 40}.example")


def test_a_list_of_one_host_that_does_not_answer_stops() -> None:
    losses = Losses("download", 0.5, "rows")
    with pytest.raises(TooManyLost):
        for _ in range(LEAST_ROWS):
            losses.count(Reason.CONNECTION_FAILED, "x", "a.example")


def test_a_detail_of_several_lines_or_with_escape_characters_is_one_plain_line() -> None:
    losses = Losses("check", 0.5, "captions")
    with pytest.raises(TooManyLost) as error:
        for _ in range(LEAST_ROWS):
            losses.count(Reason.REFUSAL, "refusal: I'm sorry\n\x1b[2Jtask_talk: " + "sorry " * 500)
    assert str(error.value).isprintable() and "(refusal: I'm sorry [2Jtask_talk: sorry" in str(error.value)
    assert len(str(error.value)) < 600

"""Texts of the page: in pieces, and inside of its data."""

from __future__ import annotations

import json

import hypothesis.strategies as st
from hypothesis import given

from curation.report.marks import pieces
from curation.report.page import encoded


@given(
    st.text(max_size=60),
    st.lists(
        st.tuples(st.integers(-3, 70), st.integers(-3, 70), st.sampled_from(["true", "false", "not_asked"])), max_size=6
    ),
    st.none() | st.text(max_size=30),
)
def test_pieces_are_the_whole_caption(caption: str, found: list[tuple[int, int, str]], verified: str | None) -> None:
    rows = [{"start": a, "end": b, "verdict": v, "probability": 0.5} for a, b, v in found]
    parts = pieces(caption, rows, verified)
    assert "".join(text for text, _, _ in parts) == caption
    for start, end, verdict in found:
        if verdict == "false" and max(0, start) < min(len(caption), end):
            assert any(mark == "false" for _, mark, _ in parts)


def test_what_leaned_on_something_false_is_dropped() -> None:
    caption = "A cat sits. It is red. It purrs."
    rows = [
        {"start": 0, "end": 10, "verdict": "true", "probability": 0.9},
        {"start": 12, "end": 21, "verdict": "false", "probability": 0.2},
        {"start": 23, "end": 31, "verdict": "true", "probability": 0.9},
    ]
    assert [(t, m) for t, m, _ in pieces(caption, rows, "A cat sits.")] == [
        *(("A cat sits", "true"), (". ", ""), ("It is red", "false"), (". ", ""), ("It purrs", "dropped"), (".", "")),
    ]


@given(st.text(max_size=200))
def test_data_cannot_end_their_block(text: str) -> None:
    made = encoded({"text": text, "more": f"</script><!--{text}-->"})
    assert not set("<>&\u2028\u2029") & set(made)
    assert json.loads(made)["text"] == text

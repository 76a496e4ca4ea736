from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.caption.check.sentences import sentence_ends, sentences

CASES = [
    (["A red cube.", "A blue ball!", "Is it round?"]),
    (["Dr. Lee and Mrs. Stone walk past St. Mary's church on Mt. Hood Rd. near No. 5."]),
    (["A flag of the U.S. Navy hangs over the door.", "It is red."]),
    (["The car was made in the U.S.", "The driver waves."]),
    (["It is 3.5 m tall and weighs approx. 20 kg."]),
    (['A sign that says "STOP!" in red hangs there.', "It is old."]),
    (['The shirt reads "Go home."', "A dog sits."]),
    (["Jars, tins, boxes, etc. fill the shelf.", "Nothing else is there."]),
    (["Jars, tins, boxes, etc.", "A cat sits."]),
    (["He says no.", "Sunlight falls in."]),
    (["A bus of line no. 12 waits."]),
    (["Wait...", "A door opens (slowly).", "It ends…"]),
    (["J. R. R. Tolkien's book lies there."]),
    (["赤い立方体。", "青い球！", "終わり"]),
    (["A red cube.", "An unfinished one with a"]),
    (["“A ball.”", "‘A cube.’"]),
    (["It is 1.5 m.", "Rolling hills lie behind it."]),
    (["They stand at 5 p.m. on a bridge.", "It rains."]),
]


@pytest.mark.parametrize("expected", CASES, ids=lambda c: c[0][:30])
def test_sentences_end_where_people_end_them(expected: list[str]) -> None:
    text = " ".join(expected)
    assert [text[a:b] for a, b in sentences(text)] == expected


@given(st.text(alphabet="aB.!?。 \n\"')U1é", max_size=80))
def test_sentences_cover_all_that_is_not_white_space(text: str) -> None:
    spans = sentences(text)
    assert "".join("".join(text[a:b].split()) for a, b in spans) == "".join(text.split())
    assert all(a < b for a, b in spans)
    assert list(sentence_ends(text)) == sorted(set(sentence_ends(text)))


def test_what_follows_the_last_end_is_no_full_sentence() -> None:
    text = "A red cube. A blue"
    assert sentence_ends(text) == (len("A red cube."),)
    assert sentence_ends("no end at all") == ()

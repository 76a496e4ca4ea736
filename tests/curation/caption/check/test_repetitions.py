"""No reply, and no alt text, takes a check longer than its length explains."""

from __future__ import annotations

from curation.caption.check.caption import check_caption
from schemas.refine import Check
from tests.support.repetitions import none_is_slow

CHECK = Check()
LONGEST = 20_000


def test_no_reply_is_slow() -> None:
    check_caption("A dog.", "dense", "stop", "", "Describe the image.", CHECK)  # lists and models are loaded once
    none_is_slow(
        lambda text: check_caption(text, "dense", "stop", "a dog", "Describe the image.", CHECK), LONGEST, most=12
    )


def test_no_alt_text_is_slow() -> None:
    none_is_slow(lambda text: check_caption("A dog.", "dense", "stop", text, "", CHECK), LONGEST, most=12)


def test_a_number_that_is_no_character_is_text() -> None:
    text = "A dog &amp; a cat. &#" + "9" * 5_000 + ";"
    assert check_caption(text, "dense", "stop", "", "", CHECK).caption is not None

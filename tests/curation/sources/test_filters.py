"""The first filter that a row fails, in a fixed order, gives its reason; unknown is never zero."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from curation.sources.filters import judge
from curation.sources.source_metadata import SourceMetadata
from schemas.arrow import table_of
from schemas.reasons import Reason
from schemas.recipe import Source

GOOD = SourceMetadata(
    url="http://a/1.jpg",
    alt_text="one two three",
    width=640,
    height=480,
    similarity=0.3,
    aesthetic=6.0,
    punsafe=0.1,
    pwatermark=0.1,
    language="en",
)
STRICT = Source(
    min_side=200,
    max_aspect=3,
    min_words=3,
    min_characters=5,
    max_characters=20,
    languages=["en"],
    min_similarity=0.28,
    min_aesthetic=5,
    max_punsafe=0.5,
    max_pwatermark=0.8,
)


def verdict(claim: SourceMetadata, recipe: Source) -> tuple[str | None, str | None]:
    judged = judge(table_of(SourceMetadata, [claim]), recipe)
    return judged.reason[0].as_py(), judged.detail[0].as_py()


def test_a_row_within_all_limits_passes() -> None:
    assert verdict(GOOD, STRICT) == (None, None)


@pytest.mark.parametrize(
    ("change", "reason", "detail"),
    [
        ({"url": None}, Reason.NO_URL, "no url"),
        ({"url": "  "}, Reason.NO_URL, "no url"),
        ({"alt_text": None}, Reason.NO_ALT_TEXT, "min_words 3"),
        ({"alt_text": " \t\n"}, Reason.NO_ALT_TEXT, "empty"),
        ({"width": 199}, Reason.CLAIMED_TOO_SMALL, "199x480: a side is below 200"),
        ({"width": None, "height": 199}, Reason.CLAIMED_TOO_SMALL, "?x199: a side is below 200"),
        ({"width": 2000}, Reason.CLAIMED_ASPECT, "2000x480: 4.17 is above 3"),
        ({"width": 480, "height": 2000}, Reason.CLAIMED_ASPECT, "480x2000: 4.17 is above 3"),
        ({"alt_text": "one two"}, Reason.FEW_WORDS, "2 words; at least 3"),
        ({"alt_text": "a b\u2003c"}, None, None),
        ({"alt_text": "x" * 9 + " y" * 6}, Reason.MANY_CHARACTERS, "21 characters; at most 20"),
        ({"language": "de"}, Reason.LANGUAGE, "language is 'de'; wanted: en"),
        ({"language": "EN_us"}, None, None),
        ({"language": None}, None, None),
        ({"similarity": 0.27}, Reason.LOW_SIMILARITY, "similarity 0.27 is below 0.28"),
        ({"similarity": 0.28}, None, None),
        ({"aesthetic": 4.9}, Reason.LOW_AESTHETIC, "aesthetic 4.9 is below 5"),
        ({"punsafe": 0.51}, Reason.UNSAFE, "punsafe 0.51 is above 0.5"),
        ({"punsafe": 0.5}, None, None),
        ({"pwatermark": 0.9}, Reason.WATERMARK, "pwatermark 0.9 is above 0.8"),
        ({"width": None, "height": None, "similarity": None, "aesthetic": None, "punsafe": None}, None, None),
        ({"width": 0, "height": -1}, None, None),
        ({"width": float("nan"), "similarity": float("nan"), "punsafe": float("nan")}, None, None),
    ],
)
def test_each_limit_rejects_with_what_was_found(change: dict[str, Any], reason: str | None, detail: str | None) -> None:
    found, shown = verdict(dataclasses.replace(GOOD, **change), STRICT.model_copy(update={"min_characters": 1}))
    assert found == reason
    assert (shown is None) if detail is None else (shown is not None and detail in shown)


def test_few_characters_are_counted_as_code_points() -> None:
    recipe = Source(min_characters=4)
    assert verdict(dataclasses.replace(GOOD, alt_text="äöü"), recipe)[0] == Reason.FEW_CHARACTERS
    assert verdict(dataclasses.replace(GOOD, alt_text="äöü!"), recipe)[0] is None


@pytest.mark.parametrize("name", ["language", "similarity", "aesthetic", "punsafe", "pwatermark"])
def test_null_follows_its_own_policy(name: str) -> None:
    unknown = dataclasses.replace(GOOD, **{name: None})
    assert verdict(unknown, STRICT)[0] is None
    found, shown = verdict(unknown, STRICT.model_copy(update={f"null_{name}": "reject"}))
    assert found is not None
    assert shown is not None
    assert "unknown" in shown
    assert verdict(GOOD, STRICT.model_copy(update={f"null_{name}": "reject"}))[0] is None


@pytest.mark.parametrize("name", ["similarity", "aesthetic", "punsafe", "pwatermark"])
def test_without_a_limit_the_null_policy_does_nothing(name: str) -> None:
    limit = f"max_{name}" if name.startswith("p") else f"min_{name}"
    recipe = STRICT.model_copy(update={f"null_{name}": "reject", limit: None})
    assert verdict(dataclasses.replace(GOOD, **{name: None}), recipe)[0] is None


def test_the_first_failing_filter_gives_the_reason() -> None:
    bad = SourceMetadata(url=None, alt_text="", width=10, height=1000, similarity=0.0, punsafe=1.0)
    assert verdict(bad, STRICT)[0] == Reason.NO_URL
    assert verdict(dataclasses.replace(bad, url="http://a"), STRICT)[0] == Reason.NO_ALT_TEXT
    faulty = dataclasses.replace(bad, fault=Reason.MALFORMED_ROW, note="why")
    assert verdict(faulty, STRICT) == (Reason.MALFORMED_ROW, "why")


def test_a_local_image_needs_no_url() -> None:
    local = dataclasses.replace(GOOD, url=None, local_file="file:///a.tar", content="sha256:0")
    assert verdict(local, STRICT)[0] is None


def test_counts_say_how_many_each_filter_rejected() -> None:
    rows = [GOOD, dataclasses.replace(GOOD, width=1.0), dataclasses.replace(GOOD, url=None, width=1.0), GOOD]
    judged = judge(table_of(SourceMetadata, rows), STRICT)
    assert judged.rejected == {Reason.NO_URL: 1, Reason.CLAIMED_TOO_SMALL: 1}
    assert judged.reason.to_pylist() == [None, "claimed_too_small", "no_url", None]

"""Web-like alt texts and news-like captions with their truth."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.demo.alt_text import CATEGORIES, SHARES, Category, web_alt_text
from curation.demo.judge import judge
from curation.demo.names import is_heldout
from curation.demo.news import LABELS, WEIGHTS, news_caption
from curation.demo.truth import generator
from curation.demo.world import scene

INDICES = st.integers(0, 50_000)
SPLITS = st.sampled_from(["train", "heldout"])


@given(INDICES, SPLITS)
@settings(max_examples=300, deadline=None)
def test_spans_are_exact_and_labels_known(index: int, split: str) -> None:
    caption = news_caption(scene(4, index, split), generator(index))  # type: ignore[arg-type]
    for span in (*caption.entities, *caption.subjects):
        assert caption.text[span.start : span.end] == span.text
        assert span.text.strip() == span.text != ""
    assert all(e.label in LABELS for e in caption.entities)
    assert all(s.weight in WEIGHTS.values() for s in caption.subjects)
    ends = [0, *(e.end for e in caption.entities)]
    assert all(e.start >= end for e, end in zip(caption.entities, ends, strict=False))
    assert caption.subjects
    assert "{" not in caption.text


def test_news_captions_cover_all_labels_and_some_have_no_entity() -> None:
    scenes = [scene(4, i) for i in range(60)]
    found = [news_caption(scenes[i % 60], generator(i)) for i in range(400)]
    assert {e.label for c in found for e in c.entities} == set(LABELS)
    assert 0.02 < sum(not c.entities for c in found) / len(found) < 0.3
    assert 8 < sum(len(c.text.split()) for c in found) / len(found) < 20


def test_the_news_speak_of_what_is_in_the_picture() -> None:
    for i in range(200):
        s = scene(4, i)
        false = judge(s, news_caption(s, generator(i)).text).false
        assert not {c for c in false if c.aspect in ("colour", "count")}, news_caption(s, generator(i)).text


def test_names_of_training_and_held_out_news_are_disjoint() -> None:
    def invented(split: str) -> set[str]:
        found = set()
        shown = [scene(4, i, split) for i in range(20)]  # type: ignore[arg-type]
        for i in range(500):
            for e in news_caption(shown[i % 20], generator(i)).entities:
                if e.label == "PERSON":
                    found.update(w for w in re.split(r"[ \-']", e.text) if len(w) > 2)
        return found

    train, held = invented("train"), invented("heldout")
    assert len(train) > 300
    assert len(held) > 300
    assert not train & held
    assert all(is_heldout(name) for name in held)
    assert not any(is_heldout(name) for name in train)


def test_alt_texts_come_in_the_declared_shares() -> None:
    assert sum(SHARES.values()) == pytest.approx(1)
    scenes = [scene(4, i) for i in range(50)]
    seen = Counter(web_alt_text(scenes[i % 50], generator(i)).category for i in range(2000))
    for category in CATEGORIES:
        assert seen[category] / 2000 == pytest.approx(SHARES[category], abs=0.03)


@pytest.mark.parametrize("category", CATEGORIES)
def test_every_category_of_alt_text_is_what_it_says(category: Category) -> None:
    for i in range(80):
        s = scene(4, i)
        text = web_alt_text(s, generator(i), category).text
        verdict = judge(s, text)
        match category:
            case "empty":
                assert text == ""
            case "wrong":
                assert {c.aspect for c in verdict.false} >= {"object"}, text
            case "good":
                assert not verdict.false, text
                assert verdict.recall_of("object") == 1
            case "thin":
                assert not verdict.false, text
                assert len(verdict.stated) >= 1
                assert len(text.split()) <= 3
            case "other language" | "hostile":
                assert len(verdict.true) <= 2, text
            case _:
                assert text


def test_file_names_and_spam_tell_little() -> None:
    found = [judge(scene(4, i), web_alt_text(scene(4, i), generator(i), "file name").text).recall for i in range(100)]
    assert sum(found) / len(found) < 0.1

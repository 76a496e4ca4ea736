"""Near duplicates by word shingles are those that brute force finds."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from curation.dedupe.across.shared_text import runs_of
from curation.dense_prompts.near import NearTexts, jaccard, plain, shingles
from curation.dense_prompts.training_texts import Comparison

TEXTS = st.lists(st.lists(st.sampled_from("abcde"), max_size=12).map(" ".join), max_size=12)


@given(TEXTS, st.sampled_from([0.2, 0.5, 0.75, 1.0]))
def test_near_texts_are_those_of_brute_force(texts: list[str], least: float) -> None:
    near = NearTexts.over(texts, least)
    for number, text in enumerate(texts):
        scores = [(jaccard(shingles(text), shingles(other)), -place) for place, other in enumerate(texts[:number])]
        best = max(scores, default=(0.0, 0))
        expected = (str(-best[1]), best[0]) if best[0] >= least else None
        assert near.find(text) == expected
        near.add(str(number), text)


@given(TEXTS, TEXTS, st.sampled_from([0.3, 0.5, 1.0]), st.sampled_from([0, 2, 4]))
def test_what_prompts_share_with_training_texts_is_what_brute_force_finds(
    prompts: list[str], training: list[str], near: float, words: int
) -> None:
    comparison = Comparison.of(prompts, words, near)
    for number, text in enumerate(training):
        comparison.see("root", f"{number:03d}", text)
    for number, prompt in enumerate(prompts):
        shared = sorted(
            (f"{n:03d}", " ".join(run)) for n, t in enumerate(training) for run in runs_of(prompt, words)
            if run in runs_of(t, words)
        )  # fmt: skip
        assert comparison.shared().get(number) == (("root", *shared[0]) if shared else None)
        own = shingles(prompt)
        shares = [(len(own & shingles(t)) / max(1, len(own)), -n) for n, t in enumerate(training)]
        best = max(shares, default=(0.0, 0))
        expected = (best[0], "root", f"{-best[1]:03d}") if own and best[0] >= near else None
        assert comparison.nearest().get(number) == expected


def test_the_order_of_training_texts_changes_nothing() -> None:
    rng = random.Random(3)
    texts = [" ".join(rng.choices("abcdef", k=20)) for _ in range(30)]
    forward, backward = (Comparison.of(texts[:10], 3, 0.3) for _ in range(2))
    for number, text in enumerate(texts):
        forward.see("root", str(number), text)
    for number, text in reversed(list(enumerate(texts))):
        backward.see("root", str(number), text)
    assert forward.shared() == backward.shared() and forward.nearest() == backward.nearest()
    assert len(forward.shared()) == 10


def test_case_and_punctuation_make_no_new_text() -> None:
    assert plain("A red, RED ball!") == plain("a red red ball")
    assert jaccard(shingles("A red ball rolls."), shingles("a red ball rolls")) == 1.0
    assert Counter(shingles("")) == Counter()

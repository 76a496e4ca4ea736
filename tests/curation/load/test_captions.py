"""What training code may ask of captions beside their kinds: that some are dropped, and tags in another order."""

from __future__ import annotations

from collections import Counter

import pytest

from curation.load.captions import DROPPED, Captions, draw_caption


def sample(number: int, **captions: str) -> dict[str, object]:
    return {
        "sample_id": f"{number:032x}", "alt_text": "alt", "captions": captions, "caption": captions["dense"],
        "caption_kind": "dense",
    }  # fmt: skip


SAMPLES = [sample(n, dense="A dog.", tags="dog, lawn, soft light, fence,  sky") for n in range(3000)]


def test_the_share_of_dropped_captions_is_what_was_asked_for_and_others_stay_as_they_were() -> None:
    drawn = Captions({"dense": 0.5, "tags": 0.5}, seed=4, dropout=0.1)
    counts: Counter[bool] = Counter()
    for annotation in SAMPLES:
        text, kind = drawn.draw(annotation, 2)
        counts[kind == DROPPED] += 1
        assert (text == "") == (kind == DROPPED)
        assert kind == DROPPED or (text, kind) == draw_caption(annotation, drawn.weights, 4, 2)
    assert abs(counts[True] / len(SAMPLES) - 0.1) < 0.02
    gone = [[drawn.draw(s, epoch)[1] == DROPPED for s in SAMPLES] for epoch in (0, 1)]
    assert gone[0] != gone[1], "another epoch drops others"


@pytest.mark.parametrize(("share", "expected"), [(0.0, False), (1.0, True)])
def test_none_or_all_are_dropped(share: float, expected: bool) -> None:
    assert {Captions({"dense": 1}, dropout=share).draw(s, 0)[1] == DROPPED for s in SAMPLES} == {expected}


@pytest.mark.parametrize("keep", [0, 1, 2, 9])
def test_tags_change_places_behind_the_first_ones(keep: int) -> None:
    drawn = Captions({"tags": 1}, shuffle_tags=frozenset({"tags"}), keep_tags=keep)
    tags = ["dog", "lawn", "soft light", "fence", "sky"]
    orders = set()
    for annotation in SAMPLES[:200]:
        text, _ = drawn.draw(annotation, 0)
        assert text == drawn.draw(annotation, 0)[0]
        found = text.split(", ")
        assert found[:keep] == tags[:keep] and sorted(found) == sorted(tags)
        orders.add(text)
    assert (len(orders) > 3) == (keep < 4)


def test_other_kinds_keep_their_commas() -> None:
    drawn = Captions({"dense": 1}, shuffle_tags=frozenset({"tags"}))
    assert drawn.draw(sample(1, dense="A dog, a cat, and a bird."), 0) == ("A dog, a cat, and a bird.", "dense")


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"weights": {}}, "positive sum"),
        ({"weights": {"dense": -1.0}}, "positive sum"),
        ({"weights": {"dense": 1.0}, "dropout": 1.5}, "share from 0 to 1"),
        ({"weights": {"dense": 1.0}, "keep_tags": -1}, "0 or more"),
    ],
)
def test_what_cannot_be_drawn_is_refused(told: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Captions(**told)  # type: ignore[arg-type]

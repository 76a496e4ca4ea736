"""Target lengths are drawn by weight, the same at every run, and stand in the request."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from curation.caption.lengths import draw_words
from curation.caption.model.scripted import ScriptedModel
from curation.caption.recaption import caption_shard
from curation.caption.recaption_stage import RecaptionStage
from curation.core.errors import RecipeError
from curation.core.recipes import from_toml, to_toml
from curation.core.stage import Shard, digest
from curation.core.store import Store
from schemas.arrow import rows_of
from schemas.captions import Caption
from schemas.chat import Captioning
from schemas.records import SourceRow
from schemas.refine import RefineLaion
from tests.support.captioning import for_all_kinds
from tests.support.keepers import root_with_keepers

LENGTHS = [(30, 1.0), (60, 2.0), (120, 1.0)]
SIZED = {"kind": "dense", "prompt": "sized", "max_tokens": 256}
SHORT = {"kind": "short", "prompt": "short", "max_tokens": 60}


def recipe(**settings: Any) -> Captioning:
    fields = {"backend": "scripted", "kinds": [SIZED, SHORT], "lengths": {"dense": LENGTHS}}
    return Captioning.model_validate(fields | settings)


def ask(shard: Shard, **settings: Any) -> tuple[ScriptedModel, list[Caption]]:
    model = ScriptedModel()
    stage = RecaptionStage.of(recipe(**settings))
    table = caption_shard(stage, for_all_kinds(stage, model), shard)
    return model, list(rows_of(Caption, table))


def asked_for(model: ScriptedModel) -> list[int]:
    return [int(found[1]) for r in model.asked if (found := re.search(r"about (\d+) English words", r.user))]


@pytest.fixture
def shard(tmp_path: Path) -> Shard:
    return root_with_keepers(Store(str(tmp_path)), [f"alt {i}" for i in range(12)])


def test_lengths_come_in_the_shares_of_their_weights() -> None:
    drawn = Counter(draw_words([*LENGTHS, (500, 0.0)], 0, "dense", f"{n:032x}") for n in range(8000))
    assert set(drawn) == {30, 60, 120}
    assert all(abs(drawn[words] / 8000 - weight / 4) < 0.02 for words, weight in LENGTHS)


def test_a_draw_depends_on_seed_kind_and_sample_alone() -> None:
    samples = [f"{n:032x}" for n in range(200)]

    def draws(seed: int, kind: str) -> list[int | None]:
        return [draw_words(LENGTHS, seed, kind, sample) for sample in samples]

    assert draws(0, "dense") == draws(0, "dense")
    assert draws(0, "dense") != draws(1, "dense") and draws(0, "dense") != draws(0, "medium")
    assert draw_words([], 0, "dense", "a") is None
    assert draw_words([(7, 0.0), (9, 1e-300)], 0, "dense", "a") == 9


def test_each_request_asks_for_the_length_of_its_sample(shard: Shard) -> None:
    model, found = ask(shard)
    samples = shard.read(SourceRow)["sample_id"].to_pylist()
    assert asked_for(model) == [draw_words(LENGTHS, 0, "dense", s) for s in samples]
    assert {c.prompt for c in found} == {"sized@1", "short@1"}
    again, same = ask(shard)
    assert again.asked == [] and same == found


def test_changed_lengths_ask_again_only_for_samples_whose_length_changed(shard: Shard) -> None:
    model, _ = ask(shard)
    before = asked_for(model)
    model, _ = ask(shard, lengths={"dense": [(30, 1.0), (60, 2.0), (90, 1.0)]})
    assert asked_for(model) == [90] * before.count(120) and before.count(120) > 0
    assert len(model.asked) == before.count(120)


def test_without_lengths_the_digest_is_what_it_was() -> None:
    plain = {"kinds": [SHORT], "lengths": {}}
    assert "lengths" not in recipe(**plain).deciding()
    sized = digest(RecaptionStage.of(recipe()))
    assert sized != digest(RecaptionStage.of(recipe(lengths={"dense": [(30, 1)]})))
    assert sized == digest(RecaptionStage.of(recipe()))


def test_the_longest_request_asks_for_the_most_words() -> None:
    (sized, short) = RecaptionStage.of(recipe()).probes()
    assert "about 120 English words" in sized.user and "{words}" not in sized.user + short.user


def test_the_recipe_of_a_root_keeps_lengths() -> None:
    first = RefineLaion(caption=recipe())
    assert from_toml(RefineLaion, to_toml(first), "x") == first
    assert first.deciding() == from_toml(RefineLaion, to_toml(first), "x").deciding()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lengths": {"other": LENGTHS}}, "names 'other'"),
        ({"lengths": {"dense": []}}, "pairs of words and weight"),
        ({"lengths": {"dense": [(0, 1)]}}, "pairs of words and weight"),
        ({"lengths": {"dense": [(30, -1)]}}, "pairs of words and weight"),
        ({"lengths": {"dense": [(30, 0)]}}, "pairs of words and weight"),
        ({"lengths": {"dense": [(30, float("nan"))]}}, "finite number"),
        ({"lengths": {"dense": [(257, 1)]}}, "raise max_tokens"),
    ],
)
def test_lengths_that_cannot_be_drawn_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        recipe(**settings)


def test_lengths_that_no_caption_may_have_are_refused() -> None:
    with pytest.raises(ValidationError, match="no such caption can pass"):
        RefineLaion(caption=recipe(lengths={"dense": [(10, 1)]}))
    RefineLaion(caption=recipe(lengths={"dense": [(10, 0), (40, 1)]}))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lengths": {}}, "caption.lengths has no 'dense'"),
        ({"lengths": {"dense": LENGTHS, "short": [(9, 1)]}}, "has no {words}"),
    ],
)
def test_placeholder_and_lengths_belong_together(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=re.escape(message)):
        RecaptionStage.of(recipe(**settings))

"""A key that does nothing, since another one switches it off, is named in a warning; the recipe works all the same."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from curation.core.recipes import load, to_toml
from schemas.anchor import BuildAnchor
from schemas.dense_prompts import DensePrompts
from schemas.duplicates import FindDuplicates
from schemas.expand import ExpandImages
from schemas.part import Part
from schemas.prompt_scores import ScorePrompts
from schemas.refine import RefineLaion

RECIPES = (RefineLaion, BuildAnchor, FindDuplicates, DensePrompts, ExpandImages, ScorePrompts)


@pytest.mark.parametrize(
    ("model", "sets", "said"),
    [
        (RefineLaion, ["verify.model=x"], "verify.model has no effect, since verify.enabled is false;"),
        (
            RefineLaion,
            ["verify.atoms.enabled=true"],
            "verify.atoms.enabled has no effect, since verify.enabled is false",
        ),
        (
            RefineLaion,
            ["verify.enabled=true", "verify.atoms.prompt=x"],
            "verify.atoms.prompt has no effect, since verify.atoms.enabled is false",
        ),
        (
            RefineLaion,
            ["scores.min_caption_similarity=0.2", "scores.batch=8"],
            "scores.batch, scores.min_caption_similarity have no effect, since scores.model is empty",
        ),
        (
            RefineLaion,
            ["embed.semantic.policy=reject"],
            "embed.semantic.policy has no effect, since embed.model is empty",
        ),
        (
            RefineLaion,
            ["embed.model=x", "embed.semantic.threshold=0.9"],
            'embed.semantic.threshold has no effect, since embed.semantic.policy is "ignore"',
        ),
        (RefineLaion, ["features.layer=-2"], "features.layer has no effect, since features.model is empty"),
        (ExpandImages, ["visual.layer=-2"], "visual.layer has no effect, since visual.model is empty"),
        (RefineLaion, ["signals.enabled=false", "signals.tdmrep=false"], "since signals.enabled is false"),
        (RefineLaion, ["balance.max_texts=9"], 'balance.max_texts has no effect, since balance.policy is "ignore"'),
        (RefineLaion, ["source.null_aesthetic=reject"], "since source.min_aesthetic is none"),
        (RefineLaion, ['caption.endpoints=["http://x/v1"]'], 'since caption.backend is "transformers"'),
        (RefineLaion, ["export.top.share=0.5"], "export.top.share has no effect, since export.top.score is empty"),
        (
            ExpandImages,
            ["imagine.enabled=false", "llm.model=x"],
            "llm.model has no effect, since imagine.enabled is false",
        ),
        (
            BuildAnchor,
            ["subjects.method=salience", "llm.model=x"],
            'llm.model has no effect, since subjects.method is "salience" and entities.recogniser is "rules"',
        ),
        (BuildAnchor, ["abstraction.literal=false", "caption.model=x"], "since abstraction.literal is false"),
    ],
)
def test_a_key_without_effect_is_named(
    model: type[Part], sets: list[str], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        load(model, None, sets)
    (line,) = caplog.messages
    assert said in line


def test_a_file_is_looked_at_and_what_a_root_has_is_not_said_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "recipe.toml").write_text('[verify]\nmodel = "x"\nthreshold = 0.5\n')
    with caplog.at_level(logging.WARNING):
        root = load(RefineLaion, str(tmp_path / "recipe.toml"))
        assert ["verify.model has no effect" in line for line in caplog.messages] == [True]
        caplog.clear()
        load(RefineLaion, None, ["download.timeout=3"], base=root)
        load(RefineLaion, None, ["verify.enabled=true"], base=root)
        load(RefineLaion, None, ["verify.threshold=0.5"], base=root)  # its default
    assert not caplog.messages


@pytest.mark.parametrize("model", RECIPES)
def test_a_recipe_that_is_written_out_says_nothing(
    model: type[Part], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "recipe.toml").write_bytes(to_toml(model()))
    with caplog.at_level(logging.WARNING):
        load(model, str(tmp_path / "recipe.toml"))
    assert not caplog.messages


@pytest.mark.parametrize("model", RECIPES)
def test_switches_name_keys_that_there_are(model: type[Part]) -> None:
    for table in (model(), *_tables(model())):
        for key in (key for switch in table.switches for key in (*switch.by, *switch.keys)):
            place: object = table
            for name in key.split("."):
                assert name in type(place).model_fields, f"{type(table).__name__} has no {key}"  # type: ignore[attr-defined]
                place = getattr(place, name)


def _tables(table: Part) -> Iterator[Part]:
    for name in type(table).model_fields:
        if isinstance(inner := getattr(table, name), Part):
            yield inner
            yield from _tables(inner)

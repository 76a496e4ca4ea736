"""The recipe table that was called ``against``: its former name works with a warning, and existing roots stay valid."""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path

import pytest

from curation.core.errors import RecipeError, RootError
from curation.core.recipes import load, to_toml
from curation.core.root import RECIPE, resolve_recipe
from curation.core.stage import digest
from curation.core.store import Store
from curation.dedupe.across.decontamination_stage import OverlapStage
from curation.dedupe.across.verdicts import JudgeDataSets
from schemas.anchor import BuildAnchor
from schemas.duplicates import FindDuplicates
from schemas.recipe import Decontamination, Dedupe
from schemas.refine import RefineLaion

SETS = Decontamination(sets=["x"])
FORMER = '[against]\nsets = ["x"]\n'


@pytest.mark.parametrize("model", [RefineLaion, BuildAnchor, FindDuplicates])
def test_the_former_name_works_in_files_and_in_settings_with_a_warning(
    model: type[RefineLaion], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "recipe.toml"
    file.write_text(FORMER)
    for path, sets in ((str(file), []), (None, ['against.sets=["x"]'])):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            assert load(model, path, sets).decontamination == SETS
        assert "'against'" in caplog.text and "now called 'decontamination'" in caplog.text
        assert (path or "--set") in caplog.text
    caplog.clear()
    file.write_text(FORMER.replace("against", "decontamination"))
    assert load(model, str(file), ["decontamination.shared_words=5"]).decontamination == Decontamination(
        sets=["x"], shared_words=5
    )
    assert not caplog.text


def test_settings_add_to_what_a_file_has_by_either_name(tmp_path: Path) -> None:
    file = tmp_path / "recipe.toml"
    file.write_text(FORMER + "[decontamination]\nshared_words = 4\n")
    found = load(RefineLaion, str(file), ["against.symmetries=false"]).decontamination
    assert found == Decontamination(sets=["x"], shared_words=4, symmetries=False)


@pytest.mark.parametrize("wrong", ["against.set=[]", "against=3", "decontamination.set=[]"])
def test_a_wrong_key_is_named_by_todays_name(wrong: str) -> None:
    with pytest.raises(RecipeError, match="decontamination"):
        load(RefineLaion, None, [wrong])


def test_a_root_whose_recipe_has_the_former_name_goes_on_without_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(str(tmp_path))
    store.write(RECIPE, to_toml(RefineLaion(decontamination=SETS)).replace(b"[decontamination]", b"[against]"))
    assert resolve_recipe(RefineLaion, store, None, []).decontamination == SETS
    assert not caplog.text
    for key in ("against", "decontamination"):
        assert resolve_recipe(RefineLaion, store, None, [f"{key}.sets=[]"]).decontamination.sets == []
    (tmp_path / "other.toml").write_text('[decontamination]\nsets = ["y"]\n')
    with pytest.raises(RootError, match=r"decontamination\.sets"):
        resolve_recipe(RefineLaion, store, str(tmp_path / "other.toml"), [])


def test_digests_are_what_they_were_under_the_former_name() -> None:
    found = (("x", (("s", "1"),)),)
    assert (
        digest(OverlapStage(Dedupe(), SETS, found))
        == "f1b2f9e664fa239b2a47668cb3f5d573c81ab73ac69f351f98271af2ea9817c6"
    )
    judge = JudgeDataSets(FindDuplicates(decontamination=SETS), found, found, ())
    assert digest(judge) == "781a46ac357d41dd0214ab80c170e258edf70f67bc082f112e4a0e42386a8596"


def test_the_whole_recipe_keeps_its_keys_in_digests() -> None:
    fields = RefineLaion(decontamination=SETS).deciding(former=True)
    assert fields["against"] == SETS.deciding() and "decontamination" not in fields
    assert "decontamination" in RefineLaion().deciding()


def test_keeping_grey_copies_decides_anew_and_removing_them_does_not() -> None:
    """The key is newer than many roots: its default is no part of their digests."""

    def of(dedupe: Dedupe) -> str:
        return hashlib.sha256(json.dumps(dedupe.deciding(), sort_keys=True).encode()).hexdigest()

    assert of(Dedupe()) == of(Dedupe(grey_copies=True)) != of(Dedupe(grey_copies=False))
    assert "grey_copies" not in Dedupe().deciding()

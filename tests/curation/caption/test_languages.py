"""Languages are known by their codes and names, and a profile costs its own file."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from curation.caption import languages
from curation.caption.languages import code_of, profile, profiles
from curation.caption.prompts import load
from curation.caption.prompts.questions import resolve
from curation.core.errors import RecipeError
from schemas.refine import RefineLaion

NAMES = [
    ("de", ["de", "DE", "german", "German", "Deutsch", "de-AT", "de_DE.UTF-8", "deu", " german "]),
    ("zh", ["zh", "zh-CN", "zh_TW", "zh-Hans", "zh-Hant-TW", "Chinese", "中文", "Mandarin", "simplified Chinese"]),
    ("pt", ["pt_BR", "pt-PT", "Portuguese", "português", "portugues", "Brazilian Portuguese"]),
    ("es", ["Español", "espanol", "castellano", "es-419"]),
    ("fr", ["français", "francais", "fr-CA"]),
    ("ja", ["日本語", "Japanese", "ja-JP"]),
    ("ko", ["한국어", "KOREAN"]),
    ("hi", ["हिन्दी", "Hindi"]),
    ("ru", ["русский", "Russian"]),
    ("uk", ["українська", "Ukrainian", "uk-UA"]),
    ("tr", ["Türkçe", "turkce", "Turkish"]),
    ("ar", ["العربية", "Arabic", "ar_EG"]),
    ("en", ["en", "English", "en_US.UTF-8"]),
    ("sv", ["sv", "sv-SE"]),
]


@pytest.mark.parametrize(("code", "name"), [(code, name) for code, names in NAMES for name in names])
def test_a_language_is_known_by_code_locale_and_name(code: str, name: str) -> None:
    assert code_of(name) == code


@pytest.mark.parametrize(("name", "nearest"), [("germn", "german"), ("Deutch", "deutsch"), ("chinease", "chinese")])
def test_an_unknown_language_is_told_with_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(RecipeError, match=f"language is '{name}'.*did you mean '{nearest}'"):
        code_of(name)


def test_no_two_languages_share_a_name() -> None:
    named = [name.casefold() for language in profiles().values() for name in language.names]
    assert len(named) == len(set(named))


def test_a_file_is_all_that_a_new_language_costs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "esperanto.py").write_text(
        "from curation.caption.languages.language import Language\n"
        "LANGUAGE = Language(code='eo', names=('Esperanto',), scripts=('latin',), refusals=('pardonu',))\n"
    )
    caches = (languages.profiles, languages.profile, languages._names)
    monkeypatch.setattr(languages, "__path__", [*languages.__path__, str(tmp_path)])
    for cached in caches:
        cached.cache_clear()
    try:
        assert code_of("esperanto") == "eo"
        assert profile("eo").pattern("refusals").search("Pardonu, sed ne.")
    finally:
        monkeypatch.undo()
        sys.modules.pop("curation.caption.languages.esperanto", None)
        for cached in caches:
            cached.cache_clear()


@pytest.mark.parametrize("code", sorted(profiles().keys() - {"en"}))
def test_the_project_s_prompts_for_images_are_in_every_language(code: str) -> None:
    for name in ("dense", "short"):
        prompt = load(f"{name}:{code}")
        assert prompt.label == f"{name}-{code}@1"
        assert prompt.body.count("{alt_text}") == 1
        assert prompt.body != load(name).body


def test_prompts_ask_in_the_language_that_is_required() -> None:
    def asked(**recipe: dict[str, str]) -> str:
        made = RefineLaion.model_validate(recipe)
        return resolve(made.caption.asking_in(made.check.language).kinds)[0].prompt.name

    assert asked() == "dense"
    assert asked(check={"language": "German"}) == "dense-de"
    assert asked(check={"language": "German"}, caption={"language": "en"}) == "dense"
    assert asked(caption={"language": "pt_BR"}) == "dense-pt"
    assert asked(check={"language": "sv"}) == "dense"
    assert asked(check={"language": ""}) == "dense"


def test_a_prompt_in_an_unknown_language_is_refused() -> None:
    with pytest.raises(RecipeError, match="language is 'klingon'"):
        load("dense:klingon")

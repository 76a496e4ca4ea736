"""Captions, refusals and faults in every language with a profile. The texts lie in ``tests/data/languages``."""

from __future__ import annotations

import re
import re._parser as parser  # type: ignore[import-not-found]
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from curation.caption.check.caption import Verdict, check_caption
from curation.caption.languages import profile, profiles
from curation.caption.languages.language import Language
from schemas.reasons import Reason
from schemas.refine import Check

DATA = Path(__file__).parents[3] / "data" / "languages"
CODES = sorted(profiles().keys() - {"en"})
PARTS = ("held out", "tuned", "second held out", "third held out", "fourth held out")
ENGLISH = [
    (
        "dense",
        "An old woman sits on a green bench in the park and feeds three pigeons beside a red suitcase on the path.",
    ),
    (
        "dense",
        "Two cyclists ride along a winding road through a valley while snow covers the peaks that rise behind them.",
    ),
    ("short", "The man repairs his bicycle in the yard."),
]


def lines(folder: str, code: str, ending: str = "txt") -> list[str]:
    return (DATA / folder / f"{code}.{ending}").read_text(encoding="utf-8").splitlines()


def sound(code: str) -> list[tuple[str, str]]:
    """Pairs of kind and caption."""
    return [(kind, text) for kind, _, text in (line.partition("\t") for line in lines("sound", code, "tsv"))]


def refusals(code: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in lines("refusals", code):
        if line.startswith("# "):
            part = found.setdefault(line.removeprefix("# "), [])
        else:
            part.append(line)
    return found


def judge(text: str, code: str, kind: str = "short", finish: str = "stop") -> Verdict:
    return check_caption(text, kind, finish, "", "", Check(language=code))


def test_every_language_has_texts_and_every_text_a_language() -> None:
    for folder, fewest in (("sound", 40), ("refusals", 20), ("lookalikes", 6), ("openings", 2), ("sound_held_out", 6)):
        assert sorted(p.stem for p in (DATA / folder).iterdir()) == CODES
        assert all(len(p.read_text(encoding="utf-8").splitlines()) >= fewest for p in (DATA / folder).iterdir())


@pytest.mark.parametrize("code", CODES)
def test_at_most_2_percent_of_sound_captions_are_rejected_or_changed(code: str) -> None:
    verdicts = [(text, judge(text, code, kind)) for kind, text in sound(code)]
    alarms = [(text, v.detail) for text, v in verdicts if not v.passed or v.repaired]
    assert len(alarms) <= 0.02 * len(verdicts), alarms


def test_at_most_2_percent_of_fresh_sound_captions_are_rejected_or_changed() -> None:
    """With denials, numbers, abbreviations, and what other people say and ask."""
    texts = [(code, text) for code in CODES for text in lines("sound_held_out", code)]
    verdicts = [(text, judge(text, code)) for code, text in texts]
    alarms = [(text, v.detail) for text, v in verdicts if not v.passed or v.repaired]
    assert len(alarms) <= 0.02 * len(verdicts), alarms


@pytest.mark.parametrize("code", CODES)
def test_captions_of_assistants_errors_and_missing_pictures_are_no_refusals(code: str) -> None:
    for text in lines("lookalikes", code):
        verdict = judge(text, code)
        assert verdict.passed, verdict.detail


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("part", PARTS)
def test_at_least_90_percent_of_refusals_are_caught(code: str, part: str) -> None:
    texts = refusals(code)[part]
    missed = [text for text in texts if Reason.REFUSAL not in judge(text, code).reasons]
    assert len(missed) <= (0.1 if part != "third held out" else 0.13) * len(texts), missed


@pytest.mark.parametrize("code", CODES)
def test_a_refusal_is_found_at_either_end_of_a_caption(code: str) -> None:
    blank = "" if profile(code).unit == "characters" else " "
    missed = []
    for (kind, caption), text in zip(sound(code), refusals(code)["tuned"], strict=False):
        for whole in (f"{text}{blank}{caption}", f"{caption}{blank}{text}"):
            if Reason.REFUSAL not in judge(whole, code, kind).reasons:
                missed.append(whole)
    assert len(missed) <= 1, missed


@pytest.mark.parametrize("code", CODES)
def test_an_english_refusal_is_one_in_every_run(code: str) -> None:
    assert Reason.REFUSAL in judge("I'm sorry, but I can't describe this image.", code).reasons


@pytest.mark.parametrize("code", CODES)
def test_openings_go_and_the_rest_is_a_caption(code: str) -> None:
    for line in lines("openings", code):
        reply, caption = line.split("\t")
        verdict = judge(reply, code)
        assert (verdict.passed, verdict.caption) == (True, caption)
        assert Reason.BOILERPLATE_OPENING in verdict.reasons


@pytest.mark.parametrize("required", CODES)
def test_dense_captions_in_another_language_are_rejected_for_it(required: str) -> None:
    wrong = {Reason.WRONG_LANGUAGE, Reason.WRONG_SCRIPT}
    for code in CODES:
        if code != required:
            for kind, text in sound(code)[:4]:
                assert wrong & set(judge(text, required, kind).reasons), (code, text)
    for kind, text in ENGLISH:
        assert wrong & set(judge(text, required, kind).reasons), text


def test_a_language_is_named_where_it_is_the_wrong_one() -> None:
    assert (judge(ENGLISH[0][1], "de", "dense").detail or "").startswith("wrong_language: en")


@pytest.mark.parametrize("code", CODES)
def test_loops_are_found_and_cut(code: str) -> None:
    blank = "" if profile(code).unit == "characters" else " "
    for kind, text in sound(code)[:4]:
        half = text[: len(text) // 2].rstrip()
        for tail in (f"{blank}{text}", f"{blank}{half[:8].strip()}" * 12):
            verdict = judge(f"{text}{tail}", code, kind)
            assert Reason.REPETITION in verdict.reasons, tail
            assert not verdict.passed or len(verdict.caption or "") <= len(text)


@pytest.mark.parametrize("code", CODES)
def test_what_was_cut_off_is_known(code: str) -> None:
    for kind, text in sound(code)[:6]:
        verdict = judge(text[: len(text) * 2 // 3].rstrip(" .。।"), code, kind, finish="length")
        assert Reason.CUT_OFF in verdict.reasons
        assert not verdict.passed or (verdict.caption or "")[-1] in ".。।"


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("read_as", ["latin-1", "cp1252", "cp1251"])
def test_text_that_was_read_in_a_wrong_encoding_is_mended_or_rejected(code: str, read_as: str) -> None:
    for kind, text in sound(code)[:6]:
        broken = text.encode().decode(read_as, "replace")
        verdict = judge(broken, code, kind)
        assert broken == text or verdict.caption == text or not verdict.passed, broken


@pytest.mark.parametrize("code", CODES)
def test_lengths_are_measured_in_the_language_s_own_unit(code: str) -> None:
    language = profile(code)
    limits = Check(language=code, min_words={"dense": 2}, max_words={"dense": 60})
    for kind, text in sound(code):
        verdict = check_caption(text, kind, "stop", "", "", limits)
        # What says as much in fewer words is no shorter: all these are translations of each other.
        if kind == "dense":
            assert 20 <= verdict.words / language.per_word <= 60, text
            assert verdict.passed, verdict.detail


NAMED = [
    ("de", "Eine Frau namens Gundula Achterberg gießt Blumen.", "Gundula Achterberg"),
    ("de", "Herr Wendelin Krautkrämer liest Zeitung.", "Wendelin Krautkrämer"),
    ("de", "Ein Marktstand im Dorf Oberkirnach.", "Oberkirnach"),
    ("fr", "Une femme nommée Solène Courtemanche arrose des fleurs.", "Solène Courtemanche"),
    ("es", "Una mujer llamada Itziar Belmonte riega flores.", "Itziar Belmonte"),
    ("it", "Una donna di nome Fiorenza Baldacci annaffia i fiori.", "Fiorenza Baldacci"),
    ("pt", "Uma mulher chamada Iolanda Queirós rega flores.", "Iolanda Queirós"),
    ("nl", "Een vrouw genaamd Saskia Verduijn geeft bloemen water.", "Saskia Verduijn"),
    ("pl", "Kobieta o imieniu Bogumiła podlewa kwiaty.", "Bogumiła"),
    ("ru", "Женщина по имени Аграфена поливает цветы.", "Аграфена"),
    ("uk", "Жінка на ім'я Одарка поливає квіти.", "Одарка"),
    ("tr", "Gülizar adlı bir kadın çiçekleri suluyor.", "Gülizar"),
    ("ar", "امرأة اسمها زبيدة تسقي الأزهار.", "زبيدة"),
    ("hi", "सरोजिनी नाम की एक महिला फूलों को पानी दे रही है।", "सरोजिनी"),
    ("zh", "一个名叫李小梅的女人在浇花。", "李小梅"),
    ("ja", "花子という名前の女性が花に水をやっている。", "花子"),
]


@pytest.mark.parametrize(("code", "text", "name"), NAMED)
def test_invented_people_are_known_by_what_stands_beside_their_names(code: str, text: str, name: str) -> None:
    rejects = Check(language=code, names="reject")
    verdict = check_caption(text, "short", "stop", "", "", rejects)
    assert (verdict.passed, verdict.detail) == (False, f"unknown_name: {name}")
    assert check_caption(text, "short", "stop", f"© {name}, 2020", "", rejects).passed
    assert judge(text, code).passed


@pytest.mark.parametrize("code", CODES)
def test_names_that_can_be_seen_are_not_rejected(code: str) -> None:
    rejects = Check(language=code, names="reject")
    alarms = [
        v.detail for kind, text in sound(code) if not (v := check_caption(text, kind, "stop", "", "", rejects)).passed
    ]
    assert len(alarms) <= 0.03 * len(sound(code)), alarms


@pytest.mark.parametrize("code", sorted(profiles()))
def test_no_pattern_of_a_profile_can_take_more_than_linear_time(code: str) -> None:
    """Repetitions without bound are of single characters, and stand in no other repetition."""
    language = profile(code)
    for one in fields(Language):
        value = getattr(language, one.name)
        if isinstance(value, tuple) and value and one.name not in ("names", "scripts", "given_names"):
            for pattern in (language.pattern(one.name), language.start_pattern(one.name)):
                check_repeats(parser.parse(pattern.pattern, re.IGNORECASE), within=False)


def check_repeats(parsed: Any, *, within: bool) -> None:
    for kind, what in parsed:
        if kind in (parser.MAX_REPEAT, parser.MIN_REPEAT):
            _, most, inner = what
            endless = most == parser.MAXREPEAT
            assert not (endless and (within or len(inner) > 1 or inner[0][0] in (parser.SUBPATTERN, parser.BRANCH)))
            check_repeats(inner, within=within or most > 1)
        elif kind is parser.SUBPATTERN:
            check_repeats(what[3], within=within)
        elif kind is parser.BRANCH:
            for branch in what[1]:
                check_repeats(branch, within=within)
        elif kind in (parser.ASSERT, parser.ASSERT_NOT):
            check_repeats(what[1], within=within)

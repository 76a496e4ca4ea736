"""Names of people and places that nobody can see, and names of things that are known by their looks."""

from __future__ import annotations

from pathlib import Path

import pytest

from curation.caption.check.caption import check_caption
from curation.caption.check.faults.invented import find_invented
from curation.caption.check.faults.names import find_names
from schemas.reasons import Reason
from schemas.refine import Check
from tests.support.clean_captions import generated

SUPPORT = Path(__file__).parents[3] / "support"
KNOWN = (SUPPORT / "naming_sentences_known.txt").read_text(encoding="utf-8").splitlines()
INVENTED = [
    line.split("\t") for line in (SUPPORT / "invented_names_sentences.tsv").read_text(encoding="utf-8").splitlines()
]
REJECT = Check(names="reject")


def rejected(sentence: str, alt_text: str = "") -> bool:
    return bool(find_invented(find_names(sentence, alt_text, ()), sentence))


def test_names_are_recorded_by_default() -> None:
    verdict = check_caption("A woman named Elena Petrova waits at a bus stop.", "short", "stop", "", "", Check())
    assert verdict.passed
    assert verdict.detail == "unknown_name: Elena Petrova"


def test_at_most_2_percent_of_well_known_things_raise_an_alarm() -> None:
    assert len(KNOWN) >= 300
    alarms = [sentence for sentence in KNOWN if rejected(sentence)]
    assert len(alarms) <= 0.02 * len(KNOWN), alarms


@pytest.mark.parametrize("kind", ["person", "place"])
def test_at_least_90_percent_of_invented_names_are_caught(kind: str) -> None:
    sentences = [sentence for k, sentence in INVENTED if k == kind]
    missed = [sentence for sentence in sentences if not rejected(sentence)]
    assert len(missed) <= 0.1 * len(sentences), missed


def test_a_caption_falls_with_the_sentence_that_names_somebody() -> None:
    for number, (_, sentence) in enumerate(INVENTED):
        caption, alt_text = generated(number)
        sentence = f"{sentence.removesuffix('.')}."
        verdict = check_caption(f"{caption} {sentence}", "dense", "stop", alt_text, "", REJECT)
        assert verdict.passed is not rejected(sentence, alt_text)


def test_a_name_that_the_alt_text_has_is_nobody_s_invention() -> None:
    assert rejected("Ludmila Petrenko dances on a small stage.")
    assert not rejected("Ludmila Petrenko dances on a small stage.", "Ludmila Petrenko, 2019")


DATA = Path(__file__).parents[3] / "data" / "names"


def kept_and_rejected(name: str) -> tuple[list[str], list[str]]:
    """The captions of a set that pass with ``names = "reject"``, and those that do not."""
    captions = [line.split("\t")[1] for line in (DATA / f"{name}.tsv").read_text(encoding="utf-8").splitlines()]
    passed = [c for c in captions if Reason.UNKNOWN_NAME not in rejecting(c)]
    return passed, [c for c in captions if c not in passed]


def rejecting(caption: str) -> list[Reason]:
    verdict = check_caption(caption, "short", "stop", "", "", REJECT)
    return [] if verdict.passed else list(verdict.reasons)


@pytest.mark.parametrize("name", ["visible", "visible_held_out"])
def test_things_that_no_list_was_made_for_are_known_by_their_looks(name: str) -> None:
    passed, alarms = kept_and_rejected(name)
    assert len(alarms) <= 0.02 * (len(passed) + len(alarms)), alarms


@pytest.mark.parametrize("name", ["invented", "invented_held_out"])
def test_people_and_places_in_many_kinds_of_sentences_are_caught(name: str) -> None:
    missed, caught = kept_and_rejected(name)
    assert len(caught) >= 0.9 * (len(missed) + len(caught)), missed


def test_people_at_the_start_of_a_sentence_are_recorded_only_where_names_reject() -> None:
    caption = "Katarzyna blows out the candles on a cake."
    assert not rejected(caption)
    assert rejecting(caption) == [Reason.UNKNOWN_NAME]
    assert check_caption(caption, "short", "stop", "Katarzyna, 6 years", "", REJECT).passed


@pytest.mark.parametrize(
    ("caption", "invented"),
    [
        ("A lorry with Eddie Stobart on its door.", False),
        ("A man called Eddie Stobart leans on a lorry.", True),
        ("The Flame Towers glow at night.", False),
        ("A bakery on Flame Street.", True),
        ("A statue of Ebenezer Vance in a park.", False),
        ("A portrait of Ebenezer Vance in a black coat.", True),
        ("A toddler called Milo bangs a saucepan.", True),
        ("A mug of Milo on a tray.", False),
    ],
)
def test_what_stands_around_a_name_tells_whether_it_can_be_seen(caption: str, invented: bool) -> None:
    assert (rejecting(caption) == [Reason.UNKNOWN_NAME]) is invented

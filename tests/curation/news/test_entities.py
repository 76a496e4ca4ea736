"""The embedded recogniser against captions labelled by hand before it was written."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.news.rules import RuleRecogniser, find_dates
from curation.news.score import Accuracy, Labelled, accuracy
from curation.news.spans import MOST_WORDS
from tests.support.labelled import held_out, labelled
from tests.support.steps import all_linear, steps

STEPS = 60  # of the interpreter, a character of a long text; a caption takes fewer


@pytest.fixture(scope="module")
def rules() -> RuleRecogniser:
    return RuleRecogniser()


def measured(rules: RuleRecogniser, captions: Sequence[Labelled]) -> Accuracy:
    return accuracy([rules.entities(item.caption) for item in captions], captions)


def test_spans_and_labels_are_right_on_the_captions_that_the_rules_were_tuned_on(rules: RuleRecogniser) -> None:
    assert len(labelled()) == 210
    found = measured(rules, labelled())
    assert found.spans.f1 >= 0.938 and found.labelled.f1 >= 0.80


def test_spans_and_labels_are_right_on_captions_that_no_rule_was_tuned_on(rules: RuleRecogniser) -> None:
    assert len(held_out()) == 150
    found = measured(rules, held_out())
    assert found.spans.f1 >= 0.90 and found.labelled.f1 >= 0.80


@pytest.mark.parametrize("label", ["PERSON", "ORG", "GPE", "LOC", "FAC", "EVENT", "DATE"])
def test_no_common_label_is_left_out(rules: RuleRecogniser, label: str) -> None:
    right = there = 0
    for item in (*labelled(), *held_out()):
        found = set(rules.entities(item.caption))
        wanted = [span for span in item.entities if span.label == label]
        right += sum(span in found for span in wanted)
        there += len(wanted)
    assert right >= 0.7 * there


def test_a_caption_takes_a_bounded_number_of_steps_a_character(rules: RuleRecogniser) -> None:
    captions = [item.caption for item in (*labelled(), *held_out())]
    assert steps(lambda: list(rules.recognise(captions)), STEPS * sum(map(len, captions))) > 0


@pytest.mark.parametrize(
    ("caption", "names"),
    [
        ("Mayor Reginald T. Pruitt's dog in Annapolis", ["Reginald T. Pruitt", "Annapolis"]),
        ("Sen. Carla Whitcombe (D-Ohio) speaks", ["Carla Whitcombe", "D", "Ohio"]),
        ("PRIME MINISTER JOAN HARGREAVE IN LONDON", ["JOAN HARGREAVE", "LONDON"]),
        ("Two boys play chess beneath a tree.", []),
        ("Tessa Marlowe-Finch and J.K. O'Brien", ["Tessa Marlowe-Finch", "J.K. O'Brien"]),
        ("The Bank of Albion in the U.S. on Friday", ["Bank of Albion", "U.S.", "Friday"]),
        ("", []),
        # Titles, offices and employers stay outside.
        ("Tesla CEO Elon Musk waves.", ["Tesla", "Elon Musk"]),
        ("Apple CEO Tim Cook speaks in Cupertino.", ["Apple", "Tim Cook", "Cupertino"]),
        ("Target CEO Ann Lee waves", ["Target", "Ann Lee"]),
        ("FBI Director James Comey in Washington", ["FBI", "James Comey", "Washington"]),
        ("Kran Motors Vice President Ann Lee", ["Kran Motors", "Ann Lee"]),
        ("General Motors Chairwoman Mary Barra", ["General Motors", "Mary Barra"]),
        ("New York Mayor Bill de Blasio", ["New York", "Bill de Blasio"]),
        ("U.S. Secretary of State John Kerry in Geneva", ["U.S.", "John Kerry", "Geneva"]),
        ("German Chancellor Angela Merkel", ["German", "Angela Merkel"]),
        ("Chief Executive Officer Ann Lee of Kran", ["Ann Lee", "Kran"]),
        ("Former Tesla executive JB Straubel", ["Tesla", "JB Straubel"]),
        ("Adm. Harriet Stokes and Del. Danica Roehm", ["Harriet Stokes", "Danica Roehm"]),
        ("Martin Luther King Jr. speaks", ["Martin Luther King Jr."]),
        ("Stephen King and Prince Harry", ["Stephen King", "Harry"]),
        # Camel case, particles and possessives stay whole.
        ("A jet lands at LaGuardia Airport", ["LaGuardia Airport"]),
        ("DeKalb County police near McDonald's in DeKalb, Ill.", ["DeKalb County", "McDonald's", "DeKalb", "Ill."]),
        ("A man in SoHo and TriBeCa", ["SoHo", "TriBeCa"]),
        ("People in LaPlace, La., after the storm", ["LaPlace", "La."]),
        ("The iPhone and the eBay logo at YouTube", ["iPhone", "eBay", "YouTube"]),
        ("A ferry leaves Martha's Vineyard.", ["Martha's Vineyard"]),
        ("Trains at King's Cross in London", ["King's Cross", "London"]),
        ("Prince George's County officials", ["Prince George's County"]),
        ("Fans of St. John's in Queens", ["St. John's", "Queens"]),
        ("Tourists at St. Mark's Square", ["St. Mark's Square"]),
        ("Crowds at St James's Park", ["St James's Park"]),
        ("Land's End, Cornwall", ["Land's End", "Cornwall"]),
        ("Coeur d'Alene, Idaho, and O'Fallon, Missouri", ["Coeur d'Alene", "Idaho", "O'Fallon", "Missouri"]),
        ("Shoppers at Macy's and Lord & Taylor", ["Macy's", "Lord & Taylor"]),
        ("Students of Queen's University", ["Queen's University"]),
        ("Theo van den Berg and Ines de la Cruz", ["Theo van den Berg", "Ines de la Cruz"]),
        ("A boy in the Democratic Republic of the Congo", ["Democratic Republic of the Congo"]),
        ("Ann Lee's dog", ["Ann Lee"]),
        # Capitals on every word tell nothing, and a whole caption is no name.
        ("Man Walks His Dog In The Rain Near Old Bridge", []),
        ("MAN WALKS HIS DOG IN THE RAIN", []),
        ("The Quick Brown Fox Jumps Over The Lazy Dog Again", []),
        ("Barack Obama And Angela Merkel", ["Barack Obama", "Angela Merkel"]),
        ("Ann Lee Bob Ray Cem Oz Dora Poe Eve Fox Finn Moe Gus Hay", []),
    ],
)
def test_titles_possessives_initials_and_capitals(rules: RuleRecogniser, caption: str, names: list[str]) -> None:
    assert [caption[s.start : s.end] for s in rules.entities(caption)] == names


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                "Ann",
                "Ölaf",
                "Dr.",
                "CEO",
                "2015",
                "and",
                "of",
                "the",
                "U.S.",
                "İstanbul",
                "🙂",
                "é",
                "-",
                "’s",
                "“",
                "”",
                ",",
                "May",
                "ẞ",
            ]
        ),
        max_size=12,
    ).map(" ".join)
    | st.text(max_size=60)
)
def test_spans_are_characters_of_the_caption_sorted_and_apart(rules: RuleRecogniser, caption: str) -> None:
    spans = rules.entities(caption)
    assert all(0 <= s.start < s.end <= len(caption) for s in spans)
    assert all(a.end <= b.start for a, b in pairwise(spans))
    assert all(len(caption[s.start : s.end].split()) <= MOST_WORDS for s in spans)
    assert rules.entities(caption) == spans


@pytest.mark.parametrize(
    ("text", "dates"),
    [
        ("on Friday, June 24, 2016, and", ["Friday, June 24, 2016"]),
        ("in May, she said", ["May"]),
        ("Theresa May waves", []),
        ("on 5 November 2014", ["5 November 2014"]),
        ("the 1990s and 2012", ["1990s", "2012"]),
        ("won 2015 votes for $2016", ["2015"]),
        ("March for Rivers", []),
        ("on Feb. 2 at", ["Feb. 2"]),
    ],
)
def test_dates_are_told_from_names_and_numbers(text: str, dates: list[str]) -> None:
    assert [text[s.start : s.end] for s in find_dates(text)] == dates


LONG = 15_000  # characters, three times what cleaning leaves


def test_recognition_takes_a_bounded_number_of_steps_a_character(rules: RuleRecogniser) -> None:
    all_linear(rules.entities, LONG, STEPS, most=10)


@pytest.mark.parametrize(
    "unit",
    [
        "AP, ",
        "AP ",
        "Dr ",
        "Mr. ",
        "in 2015 ",
        "“Ann” ",
        "King's ",
        "Ann's ",
        "(",
        "de ",
        "A of ",
        "May ",
        "Ann and ",
        "Lee, Ohio, ",
    ],
)
def test_no_repetition_takes_more(rules: RuleRecogniser, unit: str) -> None:
    for opening in ("", "Ann Lee waves. ", "(" * 2_000):
        text = opening + unit * ((LONG - len(opening)) // len(unit))
        assert steps(lambda text=text: rules.entities(text), STEPS * LONG) > 0  # type: ignore[misc]


def test_a_word_without_an_end_hides_no_name() -> None:
    caption = "Ann Lee waves " + "(" * 300 + " in Leeds."
    found = [caption[s.start : s.end] for s in RuleRecogniser().entities(caption)]
    assert found == ["Ann Lee", "Leeds"]

"""What models write beside a caption: each form is taken off without loss, or rejects the caption."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from curation.caption.check.caption import Verdict, check_caption
from schemas.reasons import Reason
from schemas.refine import Check

CAPTION = (
    "A spotted dog sleeps under a wooden bench beside a red bicycle. A tall hedge runs behind the bench, and three "
    "sparrows peck at crumbs on the gravel path in front of it."
)
FIRST, SECOND = CAPTION.split("dog")[1].split(". A")
FILE = Path(__file__).parents[3] / "support" / "faults_beside.tsv"
LEAST_KEPT = 0.5  # of the forms are taken off rather than rejected


def filled(written: str) -> str:
    """A text of the table: JSON, with the caption and its sentences in place of their marks."""
    text = str(json.loads(written))
    return text.replace("{caption}", CAPTION).replace("{1}", FIRST).replace("{2}", SECOND)


def rows() -> list[tuple[str, str, str]]:
    """Kind, expected caption (empty where it is rejected), reply."""
    lines = (line.split("\t") for line in FILE.read_text(encoding="utf-8").splitlines())
    return [(kind, filled(expected), filled(reply)) for kind, expected, reply in lines]


ROWS = rows()
KINDS = sorted({kind for kind, _, _ in ROWS})


def judge(reply: str, *, repair: bool = True) -> Verdict:
    return check_caption(reply, "dense", "stop", "a dog", "Describe the image in detail.", Check(repair=repair))


@pytest.mark.parametrize("kind", KINDS)
def test_each_form_is_taken_off_or_rejects(kind: str) -> None:
    for _, expected, reply in (row for row in ROWS if row[0] == kind):
        verdict = judge(reply)
        assert (verdict.caption if verdict.passed else "") == expected, reply


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_left_is_clean_when_read_again(kind: str) -> None:
    for _, expected, _ in (row for row in ROWS if row[0] == kind and row[1]):
        again = judge(expected)
        assert (again.passed, again.caption) == (True, expected), again.detail


def test_without_repair_no_character_changes() -> None:
    for _, _, reply in ROWS:
        assert judge(reply, repair=False).caption in (reply, None)


def test_most_forms_cost_no_caption() -> None:
    assert sum(bool(expected) for _, expected, _ in ROWS) >= LEAST_KEPT * len(ROWS)


def test_every_rejection_names_its_reason_and_passage() -> None:
    for _, expected, reply in ROWS:
        verdict = judge(reply)
        assert expected or (verdict.reasons and verdict.detail), reply


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (f"<think>A dog.</think>{CAPTION}", Reason.MARKUP),
        (CAPTION.replace("dog", "dog\\u2019s friend"), Reason.CONTROL_CHARACTERS),
        (f"{CAPTION}\n\nNote: the breed is a guess.", Reason.TASK_TALK),
        (f"Dense caption: {CAPTION}", Reason.BOILERPLATE_OPENING),
        (f"{CAPTION} Le chien dort sur le canapé.", Reason.WRONG_LANGUAGE),
    ],
)
def test_the_reason_says_what_it_was(reply: str, reason: Reason) -> None:
    assert judge(reply).reasons == (reason,)

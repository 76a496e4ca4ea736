"""The check stage on planted faults: those that text alone can reveal, and those that it cannot."""

from __future__ import annotations

from functools import cache

import pytest

from curation.caption.check.caption import Verdict, check_caption
from curation.caption.check.faults.refusal import find_refusal
from curation.caption.prompts.questions import resolve
from curation.demo.alt_text import web_alt_text
from curation.demo.false_captions import FALSE, SEED, false_caption
from curation.demo.judge import judge
from curation.demo.phrases import dense_caption, short_caption
from curation.demo.truth import generator
from curation.demo.world import scene
from schemas.chat import CaptionKind
from schemas.refine import Check
from tests.support.clean_captions import LOOKALIKES, SHORT, WRITTEN, generated
from tests.support.faults import CLASSES, HELD_BACK_REFUSALS, PROMPT, Clean, planted
from tests.support.figures import Figures

CHECK = Check()
CAUGHT, FALSE_ALARMS = 0.95, 0.02
REVEALED = "check: planted faults that text alone can reveal, share caught"
UNSEEN = "check: faults that only a look at the image can reveal, share caught by the text alone"


def of_the_world(number: int) -> tuple[str, str]:
    """A faithful caption of the demo world and its picture's alt text, of either split."""
    shown = scene(SEED, number % 3000, "train" if number % 2 else "heldout")
    return dense_caption(shown, generator(number, 1)), web_alt_text(shown, generator(number, 2)).text


SOURCES: dict[str, Clean] = {"demo world": of_the_world, "composed captions": generated}


@cache
def body(kind: str) -> str:
    """The prompt that the demo asks with."""
    (question,) = resolve([CaptionKind(kind=kind, prompt=kind)])
    return question.prompt.body


def verdict(text: str, kind: str, alt_text: str) -> Verdict:
    return check_caption(text, kind, "stop", alt_text, body(kind), CHECK)


@pytest.mark.parametrize("source", SOURCES)
def test_planted_faults_are_caught(source: str, figures: Figures, full: bool) -> None:
    """Caught is what was rejected or, where mending is honest, mended, for a reason of its kind."""
    count = 200 if full else 20
    shares = {}
    for fault in CLASSES:
        cases = planted(fault, count, 11, SOURCES[source])
        caught = 0
        for case in cases:
            found = check_caption(case.text, "dense", case.finish, case.alt_text, PROMPT, CHECK)
            caught += bool(case.reasons & set(found.reasons)) and (case.mendable or not found.passed)
        shares[fault] = caught / len(cases)
        figures.add(REVEALED, fault=fault, planted_in=source, cases=count, caught=shares[fault])
    assert min(shares.values()) >= CAUGHT, shares


def test_refusals_in_wordings_that_no_rule_was_written_for_are_caught(figures: Figures) -> None:
    found = sum(find_refusal(text) is not None for text in HELD_BACK_REFUSALS) / len(HELD_BACK_REFUSALS)
    shares = {"known as refusals": found}
    for kind in ("dense", "short"):
        passed = sum(verdict(text, kind, "").passed for text in HELD_BACK_REFUSALS)
        shares[f"rejected as {kind} captions"] = 1 - passed / len(HELD_BACK_REFUSALS)
    for name, share in shares.items():
        title = f"refusal, held-back wordings: {name}"
        figures.add(REVEALED, fault=title, planted_in="alone", cases=len(HELD_BACK_REFUSALS), caught=share)
    # A dense caption of one sentence is too short whatever it says.
    assert shares["rejected as dense captions"] >= CAUGHT
    assert found >= 0.8


def test_faithful_captions_raise_hardly_any_alarm(figures: Figures, full: bool) -> None:
    count = 1500 if full else 150
    cases = [(*of_the_world(n), "dense") for n in range(count)]
    cases += [(short_caption(scene(SEED, n), generator(n, 3)), of_the_world(n)[1], "short") for n in range(count)]
    written = [(text, alt, kind) for rows, kind in ((WRITTEN, "dense"), (SHORT, "short")) for text, alt in rows]
    groups = (
        ("faithful captions of the demo world", cases),
        ("captions written by hand", written),
        ("captions that look like faults", LOOKALIKES),
    )
    for name, captions in groups:
        found = [(text, verdict(text, kind, alt)) for text, alt, kind in captions]
        rejected = [text for text, v in found if not v.passed]
        changed = [text for text, v in found if v.passed and v.caption != text]
        figures.add(
            "check: false alarms",
            captions=name,
            cases=len(captions),
            rejected=len(rejected) / len(captions),
            changed=len(changed) / len(captions),
        )
        assert len(rejected) + len(changed) <= FALSE_ALARMS * len(captions), (rejected + changed)[:3]


@pytest.mark.parametrize("kind", FALSE)
def test_falsehoods_that_read_well_pass_the_check_of_the_text(kind: str, figures: Figures, full: bool) -> None:
    """It is the law that tells what the text cannot reveal; were one caught, its class would move up."""
    cases = [(s, false_caption(kind, s)) for s in (scene(SEED, n) for n in range(200 if full else 20))]
    false = [(s, text) for s, text in cases if judge(s, text).false]
    assert len(false) >= 0.9 * len(cases)
    rejected = sum(not verdict(text, "dense", "").passed for _, text in false) / len(false)
    figures.add(UNSEEN, fault=kind, cases=len(false), caught=rejected)
    assert rejected <= 0.05

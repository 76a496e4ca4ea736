"""Candidates are ranked by what was found true, and the best one's rows are taken over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from curation.caption.best.candidates_stage import CandidatesStage, _on_candidates
from curation.caption.best.picked_stage import PickedStage, PickedVerdictStage
from curation.caption.best.ranked_stage import RankedStage
from curation.caption.check_stage import CheckStage
from curation.caption.choice import Choice
from curation.caption.model.chat import ChatReply, ChatRequest, failure
from curation.caption.model.scripted import ScriptedModel
from curation.caption.recaption import caption_shard
from curation.caption.recaption_stage import RecaptionStage
from curation.caption.verify.verified_stage import VerifiedStage
from curation.caption.verify.verify import verify_shard
from curation.caption.verify.verify_stage import VerifyStage
from curation.core.stage import Shard, digest
from curation.core.store import Store
from curation.products.refine import steps
from schemas.arrow import rows_of, schema_of, table_of
from schemas.candidates import (
    CANDIDATES,
    Candidate,
    CandidateCheck,
    CandidateStatement,
    RankedCandidate,
    candidate_kind,
    candidate_number,
    plain_kind,
)
from schemas.captions import Caption, CaptionCheck
from schemas.chat import Captioning, CaptionKind
from schemas.reasons import Reason
from schemas.records import SourceRow
from schemas.refine import RefineLaion
from schemas.verify import Verify
from tests.support.captioning import for_all_kinds
from tests.support.keepers import SHARD, root_with_keepers

SENTENCE = "A red ball number {} lies on the grass."
CHOICE = Choice(("dense",))


def caption(statements: int) -> str:
    return " ".join(SENTENCE.format(n) for n in range(statements))


def write(shard: Shard, candidates: Sequence[tuple[Sequence[bool], bool]], kind: str = "dense") -> None:
    """A candidate for each: the verdicts on its statements, and whether its text passed the check."""
    rows, checks, statements = [], [], []
    for number, (verdicts, passed) in enumerate(candidates):
        name, text = candidate_kind(kind, number), caption(len(verdicts))
        rows.append(Candidate("a", name, text, None, None, "stop", "dense@1", "m", "1", f"k{number}", 1, 1))
        reasons = [] if passed else [Reason.FILLER, Reason.TOO_SHORT]
        checks.append(CandidateCheck("a", name, passed, reasons, False, None, text, 8, 9, len(text)))
        at = 0
        for index, true in enumerate(verdicts if passed else ()):
            words = SENTENCE.format(index).rstrip(".")
            at = text.index(words, at)
            verdict = "true" if true else "false"
            statements.append(
                CandidateStatement(
                    *("a", name, index, at, at + len(words), words, None, ["other"], float(true), verdict, None),
                    *("m", "1", "verify@1", f"s{number}-{index}"),
                )
            )
    for record, found in ((Candidate, rows), (CandidateCheck, checks), (CandidateStatement, statements)):
        shard.store.write_table(record, shard.name, table_of(record, found))  # type: ignore[type-var]


def ranked(shard: Shard, **settings: Any) -> list[RankedCandidate]:
    stage = RankedStage(VerifiedStage.declared(Verify.model_validate({"enabled": True} | settings), CHOICE))
    with stage.open() as work:
        return list(rows_of(RankedCandidate, work(shard)))


@pytest.fixture
def shard(tmp_path: Path) -> Shard:
    return Shard(SHARD, Store(str(tmp_path)))


T, F = True, False


@pytest.mark.parametrize(
    ("candidates", "best"),
    [
        ([([T, F], T), ([T, T], T)], 1),
        ([([T, T], T), ([T, T, T], T)], 1),  # equally true: the one that says more
        ([([T, T], T), ([T, T], T)], 0),  # equal in all: the first
        ([([T, T, T, F], T), ([T], T)], 1),  # truer, though it says less
        ([([T, T], F), ([T, F], T)], 1),  # what did not pass the check is not released
        ([([F, F, F, T], T), ([T, F, F], F)], 0),
    ],
)
def test_truth_comes_first_and_then_how_much_is_said(
    shard: Shard, candidates: list[tuple[list[bool], bool]], best: int
) -> None:
    write(shard, candidates)
    found = ranked(shard)
    assert [r.rank for r in found] == list(range(len(candidates))) and found[0].candidate == best
    assert {r.candidate for r in found} == set(range(len(candidates)))


def test_what_the_policy_would_release_comes_before_what_it_rejects(shard: Shard) -> None:
    # By share the first is better; but less than three statements would be left of it.
    write(shard, [([T, T, F], True), ([T, T, T, T, T, T, F, F, F, F], True)])
    assert ranked(shard, min_statements=3)[0].candidate == 1
    assert ranked(shard, min_statements=2)[0].candidate == 0
    found = ranked(shard, policy="reject")
    assert [r.candidate for r in found] == [0, 1] and {r.reason for r in found} == {Reason.FALSE_STATEMENT}


def test_a_candidate_of_too_many_statements_comes_after_those_that_were_verified(shard: Shard) -> None:
    write(shard, [([T] * 6, True), ([T, F], True)])
    store, kept = shard.store, candidate_kind("dense", 1)
    rows = [s for s in rows_of(CandidateStatement, shard.read(CandidateStatement)) if s.kind == kept]
    store.write_table(CandidateStatement, shard.name, table_of(CandidateStatement, rows))
    for policy in ("record", "drop"):
        assert ranked(shard, max_statements=5, policy=policy)[0].candidate == 1
    assert ranked(shard, max_statements=5)[1].reason == Reason.MANY_STATEMENTS


def test_why_a_candidate_cannot_be_released_is_said(shard: Shard) -> None:
    write(shard, [([T, T], False), ([F, F, F], True)])
    found = {r.candidate: r for r in ranked(shard)}
    assert (found[0].reason, found[0].statements, found[0].passed) == (Reason.TOO_SHORT, 0, False)
    assert (found[1].reason, found[1].statements, found[1].true_statements) == (Reason.FALSE_STATEMENT, 3, 0)


def test_a_sample_of_which_a_candidate_has_no_verdict_yet_has_no_rank(shard: Shard) -> None:
    write(shard, [([T], True), ([T, T], True)])
    rows = [s for s in rows_of(CandidateStatement, shard.read(CandidateStatement)) if s.kind == "dense.0"]
    shard.store.write_table(CandidateStatement, shard.name, table_of(CandidateStatement, rows))
    assert ranked(shard) == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    candidates=st.lists(
        st.tuples(st.lists(st.booleans(), min_size=1, max_size=6), st.booleans()), min_size=1, max_size=6
    )
)
def test_ranks_follow_their_definition(shard: Shard, candidates: list[tuple[list[bool], bool]]) -> None:
    write(shard, candidates)

    def merit(number: int) -> tuple[bool, bool, Fraction, int, int]:
        verdicts, passed = candidates[number]
        true = sum(verdicts) if passed else 0
        share = Fraction(true, len(verdicts))
        return passed, passed and len(verdicts) - true <= len(verdicts) / 2, share, true, -number

    expected = sorted(range(len(candidates)), key=merit, reverse=True)
    assert [r.candidate for r in ranked(shard)] == expected


def test_the_rows_of_the_best_are_taken_over_in_the_order_of_samples_and_kinds(shard: Shard) -> None:
    def row(sample: str, kind: str, text: str) -> CandidateCheck:
        return CandidateCheck(sample, kind, True, [], False, None, text, 1, 1, None)

    checks = [
        *(row("b", "alt_text", ""), row("b", "dense.0", "b0"), row("b", "short.0", "s0")),
        *(row("b", "dense.1", "b1"), row("b", "short.1", "s1")),
        *(row("c", "alt_text", ""), row("c", "dense.0", "c0")),
        *(row("a", "alt_text", ""), row("a", "dense.0", "a0"), row("a", "dense.1", "a1"), row("a", "short.1", "t1")),
    ]
    shard.store.write_table(CandidateCheck, shard.name, table_of(CandidateCheck, checks))
    ranks = [("b", "dense", 1), ("b", "short", 0), ("a", "dense", 0), ("a", "short", 1)]
    rows = [RankedCandidate(s, k, n, 0, True, None, 1, 1, 1, 1, "") for s, k, n in ranks]
    rows += [RankedCandidate("b", "dense", 0, 1, True, None, 1, 1, 1, 1, "")]
    shard.store.write_table(RankedCandidate, shard.name, table_of(RankedCandidate, rows))
    stage = PickedStage(CheckStage.declared(RefineLaion().check, [], CHOICE))
    with stage.open() as work:
        table = work(shard)
    assert table.schema.equals(schema_of(CaptionCheck), check_metadata=True)
    found = [(c.sample_id, c.kind, c.caption) for c in rows_of(CaptionCheck, table)]
    assert found == [
        *(("b", "alt_text", ""), ("b", "dense", "b1"), ("b", "short", "s0")),
        *(("a", "alt_text", ""), ("a", "dense", "a0"), ("a", "short", "t1")),
    ]


def recaption(shard: Shard, model: ScriptedModel, samples: int, **settings: Any) -> list[Caption]:
    recipe = Captioning.model_validate({"backend": "scripted", "temperature": 0.7} | settings)
    stage = replace(RecaptionStage.of(recipe), samples=samples)
    return list(rows_of(Caption, caption_shard(stage, for_all_kinds(stage, model), shard)))


@pytest.mark.parametrize("batch", [None, 4])
def test_the_first_candidate_is_what_one_caption_alone_would_be(tmp_path: Path, batch: int | None) -> None:
    alone = root_with_keepers(Store(str(tmp_path / "alone")), [f"text {i}" for i in range(9)])
    several = root_with_keepers(Store(str(tmp_path / "several")), [f"text {i}" for i in range(9)])
    one, many, more = (ScriptedModel(batch=batch) for _ in range(3))
    first = recaption(alone, one, 1)
    found = recaption(several, many, 3)
    assert [c.kind for c in found] == ["dense.0", "dense.1", "dense.2"] * 9
    assert [replace(c, kind="dense") for c in found[::3]] == first
    assert len(many.asked) == 27 == len({r.key for r in many.asked}) == len({r.seed for r in many.asked})
    # A root with one caption of each asks for the others alone.
    assert recaption(alone, more, 3) == found
    assert {r.key for r in more.asked} == {r.key for r in many.asked} - {r.key for r in one.asked}


def test_all_candidates_of_an_image_stand_together(tmp_path: Path) -> None:
    shard = root_with_keepers(Store(str(tmp_path)), [f"text {i}" for i in range(5)])
    model = ScriptedModel()
    kinds = [CaptionKind(kind="dense", prompt="dense"), CaptionKind(kind="short", prompt="short")]
    recaption(shard, model, 3, kinds=kinds)
    images = [r.image for r in model.asked]
    assert images == sorted(images, key=images.index) and len(images) == 30


def test_a_sample_of_which_one_candidate_failed_is_left_undecided(tmp_path: Path) -> None:
    shard = root_with_keepers(Store(str(tmp_path)), [f"text {i}" for i in range(3)])
    failed: list[str] = []

    def script(request: ChatRequest) -> str | ChatReply:
        if "text 1<" in request.user and not failed:
            failed.append(request.key)
        if request.key in failed:
            return failure(request, Reason.MODEL_ERROR, "HTTP 503")
        return "A red ball lies on the grass."

    found = recaption(shard, ScriptedModel(script), 3)
    assert len({c.sample_id for c in found}) == 2 and len(found) == 6 and shard.undecided == 1
    assert "1 of 3 samples" in shard.undecided_why
    model = ScriptedModel()
    assert len(recaption(Shard(shard.name, shard.store), model, 3)) == 9 and len(model.asked) == 1


def test_verification_of_candidates_is_that_of_captions(tmp_path: Path) -> None:
    """The statements of a candidate are asked about once, be they its own or those of several."""
    shard = root_with_keepers(Store(str(tmp_path)), ["text 0", "text 1"])
    samples = shard.read(SourceRow)["sample_id"].to_pylist()
    texts = ["A dog sleeps. A cat sits.", "A dog sleeps. The sky is grey.", "A dog sleeps. A cat sits."]
    checks = [
        CandidateCheck(s, candidate_kind("dense", n), True, [], False, None, text, 4, 5, len(text))
        for s in samples
        for n, text in enumerate(texts)
    ]
    shard.store.write_table(CandidateCheck, shard.name, table_of(CandidateCheck, checks))
    inner = VerifyStage.declared(Verify(enabled=True), Captioning(backend="scripted")).ready(None)
    stage, model = CandidatesStage(inner, 3), ScriptedModel(lambda r: "yes")
    assert stage.writes is CandidateStatement and CandidateCheck in stage.reads and stage.name == "candidate_verify"

    seen: list[pa.Table] = []

    def work(inside: Shard) -> pa.Table:
        assert inner.prompt is not None
        seen.append(verify_shard(inner, inner.prompt, model, inside))
        inside.leave_undecided(1, "why")
        return seen[0]

    found = list(rows_of(CandidateStatement, _on_candidates(work, shard)))
    assert len(found) == 12 and len(model.asked) == 6  # three different statements an image
    assert (shard.undecided, shard.undecided_why, shard.rows_in) == (1, "why", 2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"verify": {"samples": 4}}, "verify.enabled is false"),
        ({"verify": {"samples": 4, "enabled": True}}, "caption.temperature is 0"),
        (
            {
                "verify": {"samples": 2, "enabled": True},
                "caption": {"temperature": 0.7, "parameters": {"add": {"seed": 1}}},
            },
            "sends one seed with every request",
        ),
        (
            {
                "verify": {"samples": 2, "enabled": True},
                "caption": {"temperature": 0.7, "parameters": {"add": {"temperature": 0}}},
            },
            "sends temperature 0 with every request",
        ),
        ({"verify": {"samples": 0}}, "greater than or equal to 1"),
        ({"verify": {"samples": 65}}, "less than or equal to 64"),
    ],
)
def test_a_recipe_without_a_choice_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        RefineLaion.model_validate(settings)


def test_one_caption_alone_keeps_its_digests() -> None:
    """The digests are those of the commit before there were candidates."""
    caption = Captioning(backend="scripted")
    made = {
        "recaption": RecaptionStage.of(caption),
        "check": CheckStage.declared(RefineLaion().check, caption.kinds, CHOICE).ready(None),
        "verify": VerifyStage.declared(Verify(enabled=True), caption).ready(None),
        "verified": VerifiedStage.declared(Verify(enabled=True), CHOICE).ready(None),
    }
    assert {name: digest(stage)[:16] for name, stage in made.items()} == BEFORE


BEFORE = {
    "recaption": "d9b2b79abad782b9",
    "check": "ddf4c64a4b974b7f",
    "verify": "3f8fc8d450b0b22b",
    "verified": "1971ed38dfc1c627",
}


def test_the_stages_of_candidates_run_only_where_there_is_a_choice() -> None:
    def running(**verify: Any) -> list[str]:
        recipe = RefineLaion.model_validate(
            {"caption": {"backend": "scripted", "temperature": 0.5}, "verify": {"enabled": True} | verify}
        )
        (segment,) = [s for s in steps(recipe) if s.name == "caption"]
        return [p.name for p in segment.active]

    assert running() == ["recaption", "check", "verify", "verified"]
    best = running(samples=3, atoms={"enabled": True})
    parts = ("recaption", "check", "atoms", "verify")
    assert best == [*(f"candidate_{p}" for p in parts), "ranked", *(f"picked_{p}" for p in parts), "verified"]


def test_a_picked_stage_decides_as_the_one_that_it_stands_for() -> None:
    check = CheckStage.declared(RefineLaion().check, [], CHOICE)
    assert PickedVerdictStage(check).verdict == replace(check.verdict, label="check")
    assert not hasattr(PickedStage(check), "verdict")


def test_kinds_of_candidates_can_be_told_from_all_others() -> None:
    assert plain_kind(candidate_kind("local_3", 12)) == "local_3" == plain_kind("local_3")
    assert candidate_number(candidate_kind("local_3", 12)) == 12 and candidate_number("dense") == 0
    for record, own in CANDIDATES.items():
        plain, of_candidates = schema_of(record), schema_of(own)
        assert plain.equals(of_candidates, check_metadata=False), record.table

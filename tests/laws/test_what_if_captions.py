"""What-if about captions: what the last packing placed is not judged again, and answers are as if it were."""

from __future__ import annotations

import dataclasses
import shutil
from collections import Counter
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from curation.catalog import connect
from curation.core.engines.local import LocalEngine
from curation.core.run import Part
from curation.core.store import Store
from curation.reviews.review_step import ReviewStep
from curation.what_if import standing
from curation.what_if.answer import Answer
from curation.what_if.found import Found
from curation.what_if.placed import _NONE
from curation.what_if.question import Question
from curation.what_if.standing import stand
from curation.what_if.write import what_if
from schemas.arrow import rows_of
from schemas.captions import CaptionCheck, CaptionRepeat, Score
from tests.support.decided import decide, released
from tests.support.release_steps import steps_for
from tests.support.roots import World, every_ending, make_world, recipe, release, write_table

QUESTIONS = [
    ("scores.min_caption_similarity=0.3",),
    ("scores.min_caption_similarity=none",),
    ("scores.min_caption_similarity=0.01",),
    ('export.prefer=["short"]',),
    ('export.prefer=["short", "dense"]',),
    ('export.prefer=["short"]', "scores.min_caption_similarity=0.3"),
    ("export.alt_text_fallback=false",),
    ("caption_repeats.policy=reject",),
    ("caption_repeats.policy=reject", 'export.prefer=["dense"]', "export.alt_text_fallback=false"),
    ("scores.min_caption_similarity=0.3", "source.min_words=5"),
    ("source.min_words=5",),
]


@pytest.fixture(scope="module", params=[("dense", "short"), ("dense",)], ids=["both", "dense_alone"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A released root: similarities on both sides of limits, captions that repeat others, and what people decided."""
    found = recipe(shard_size=5, prefer=list(request.param))
    made = make_world(str(tmp_path_factory.mktemp("captions") / "root"), found, [every_ending(9), every_ending(9)])
    store, likeness = made.store, count()
    for shard in store.shards(Score.table):
        scores = list(rows_of(Score, store.read_table(Score, shard)))
        like = [s.similarity if s.similarity < 0.1 else 0.12 + 0.07 * (next(likeness) % 5) for s in scores]
        write_table(
            store, Score, shard, [dataclasses.replace(s, similarity=v) for s, v in zip(scores, like, strict=True)]
        )
        of_captions = [s for s in scores if s.kind != "alt_text"][::3]
        repeats = [CaptionRepeat(s.sample_id, s.kind, "caption", "a red house", 200) for s in of_captions]
        write_table(store, CaptionRepeat, shard, repeats)
    release(made)
    first, second, third, *_ = sorted(released(store))
    with connect(store.url) as views:
        query = "SELECT min(sample_id) FROM samples WHERE reason = 'refusal'"
        (refused,) = views.execute(query).fetchone() or ("",)
    decide(store, first, "reject", reason="judged_false")
    decide(store, second, "edit", after="A red kite over a pond.", kind="dense")
    decide(store, third, "keep")
    decide(store, refused, "keep", after="A blue kite.", kind="dense")
    (step,) = (s for s in steps_for(found) if isinstance(s, ReviewStep))
    step.run(store, LocalEngine(), lambda _: None)
    release(made)
    return made


def asked(world: World, sets: tuple[str, ...]) -> Answer:
    return what_if(world.store, list(sets)).answer


def funnel(store: Store) -> Counter[tuple[str, str, str]]:
    with connect(store.url) as views:
        rows = views.execute("SELECT stage, fate, coalesce(reason, ''), rows FROM funnel").fetchall()
    return Counter({(stage, fate, reason): n for stage, fate, reason, n in rows})


def now(found: Answer) -> Counter[tuple[str, str, str]]:
    return Counter({(li.stage, li.fate, li.reason): li.before for li in found.lines if li.before})


@pytest.mark.parametrize("sets", QUESTIONS, ids=" ".join)
def test_an_answer_is_as_if_every_sample_were_judged_twice(
    world: World, sets: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = asked(world, sets)
    assert now(found) == funnel(world.store) and found.kept[0] == len(released(world.store))
    monkeypatch.setattr(standing, "placed", lambda question: _NONE)
    assert asked(world, sets) == found


def test_what_is_known_to_be_kept_is_judged_once_or_not_at_all(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not at all where its placement tells that one of its captions still passes."""
    judged: list[int] = []
    parts = Found.parts

    def noted(self: Found, *asked: Any, **more: Any) -> list[Part]:
        (samples,) = self.connection.execute("SELECT count(*) FROM asked_samples").fetchone() or (0,)
        judged.append(samples)
        return parts(self, *asked, **more)

    monkeypatch.setattr(Found, "parts", noted)
    kept, of_people = len(released(world.store)), 2  # edited or kept by people: nobody compared these with their images
    for sets, most in (
        (["scores.min_caption_similarity=0.01"], of_people),
        (["export.alt_text_fallback=false"], kept // 2),
        (["scores.min_caption_similarity=0.9"], kept),
    ):
        with stand(Question.of(world.store, sets)) as views:
            (known, others) = views.execute(
                "SELECT count(*) FILTER (placed), count(DISTINCT sample_id) FILTER (NOT placed) FROM known_rows"
            ).fetchone() or (0, 0)
        before, after = judged[-2:]
        assert known == kept and before <= others, "by the settings of the root none of them is judged"
        assert after <= others + most


def test_a_packing_that_is_behind_its_tables_is_not_believed(world: World, tmp_path: Path) -> None:
    """A run was killed behind checks by other settings: what was released is not what passes now."""
    shutil.copytree(world.store.path(""), tmp_path / "root")
    store = Store(str(tmp_path / "root"))
    for shard in store.shards(CaptionCheck.table):
        checks = rows_of(CaptionCheck, store.read_table(CaptionCheck, shard))
        write_table(store, CaptionCheck, shard, [dataclasses.replace(c, passed=False, words=0) for c in checks])
    for sets in (["source.min_words=5"], ["export.alt_text_fallback=false"]):
        found = what_if(store, sets).answer
        assert now(found) == funnel(store) and found.kept[0] < len(released(world.store))

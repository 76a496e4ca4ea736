"""Backends of a news root are held against the newsroom's truth, all on the same captions."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path

import pytest

from curation.caption.model.checkpoint import demo_is_trained
from curation.core.recipes import load
from curation.core.store import Store
from curation.demo.agreement import spearman
from curation.demo.news_judge import f1, judge
from schemas.anchor import BuildAnchor
from tests.support.news import QUICK, anchor, newsroom


def test_f1_counts_each_as_often_as_it_occurs() -> None:
    assert f1([(Counter("aab"), Counter("ab")), (Counter(), Counter("c"))]) == 2 * 2 / (3 + 2 + 1)
    assert f1([(Counter("ab"), Counter("ab"))]) == 1.0 and f1([(Counter("a"), Counter())]) == f1([]) == 0.0


def test_agreement_is_of_order_and_by_caption() -> None:
    same, turned, flat = ([1.0, 0.5, 0.2], [0.9, 0.8, 0.1]), ([1.0, 0.2], [0.1, 0.9]), ([1.0, 0.2], [0.5, 0.5])
    assert [spearman([pair]) for pair in (same, turned, flat)] == pytest.approx([1.0, -1.0, 0.0])
    assert spearman([same, turned]) == pytest.approx(0.0)
    assert spearman([same, ([0.5], [0.1])]) == 1.0 and math.isnan(spearman([([0.5], [0.1])]))


@pytest.mark.skipif(not demo_is_trained(), reason="the demo checkpoint is not there")
def test_every_backend_that_is_here_has_its_figures_and_a_second_look_asks_nothing(tmp_path: Path) -> None:
    source = newsroom(tmp_path / "news", scenes=10)
    settings = ["abstraction.literal=false", "subjects.method=salience"]
    anchor(str(tmp_path / "root"), source, settings)
    store, recipe = Store(str(tmp_path / "root")), load(BuildAnchor, None, [*QUICK, *settings])
    truth = tmp_path / "news" / "truth.jsonl"
    scores = judge(truth, store, recipe)
    by = {score.by.partition("@")[0]: score for score in scores}
    assert list(by) == ["entities by rules", "entities by demo", "subjects by salience", "subjects by demo"]
    assert by["entities by rules"].entities is not None and by["entities by rules"].entities > 0.8
    assert len({score.captions for score in scores}) == 1 and scores[0].captions > 5
    assert all((s.entities or 0) >= (s.labelled or 0) for s in scores)

    journal = sorted((tmp_path / "root" / "replies").glob("*.jsonl"))
    before = [file.read_bytes() for file in journal]
    assert before and judge(truth, store, recipe) == scores
    assert [file.read_bytes() for file in journal] == before

    # Where nothing is named, nothing that is found is right.
    fields = [json.loads(line) for line in truth.read_text().splitlines()]
    truth.write_text("\n".join(json.dumps({**t, "entities": []}) for t in fields) + "\n")
    assert all(s.entities in (None, 0.0) for s in judge(truth, store, recipe))

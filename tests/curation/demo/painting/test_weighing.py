"""Painters that learn from a release of news, with and without the weights of its subjects."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch

from curation.demo.newsroom import write_newsroom
from curation.demo.painting import weighing
from curation.demo.painting.corner import corner_scene
from curation.demo.painting.lesson import Course
from curation.demo.painting.painter import Painter
from curation.demo.painting.reading import NEWS_TOKENS, Lessons, Texts, read_news, tokenizer
from curation.demo.painting.releases import make_news
from curation.demo.painting.subjects import news
from curation.demo.truth import reserved
from curation.load.loader import load
from curation.load.weighted import factor_of
from tests.curation.demo.painting.test_painting import TINY


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("news")
    sources = write_newsroom(folder / "newsroom", scenes=15, shown=corner_scene)
    return make_news(folder / "root", sources, ["subjects.method=salience"])


def test_the_tokens_of_a_releases_subjects_have_their_weights_as_factors(root: str) -> None:
    weighed, plain = read_news(root, 0.5), read_news(root, 0.0)
    samples = {str(s["caption"]): s["json"]["subjects"] for s in load(root, "train", decode=False)}
    assert weighed.texts == plain.texts and torch.equal(weighed.pixels, plain.pixels) and len(plain) > 8
    assert not plain.factors and len(weighed.factors) == len(plain)
    for text, factors in zip(weighed.texts, weighed.factors, strict=True):
        offsets = tokenizer()(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
        assert len(factors) == NEWS_TOKENS and factors[0] == 1.0
        for subject in samples[text]:
            inside = [i for i, (a, b) in enumerate(offsets, 1) if subject["start"] <= a and b <= subject["end"]]
            assert inside and all(factors[i] >= factor_of(subject["weight"], 0.5) for i in inside)
        assert set(factors[len(offsets) + 1 :]) <= {1.0}


def test_factors_go_with_their_rows_and_a_forgotten_text_has_none() -> None:
    factors = [[1.0, 1.5, 1.5, *[1.0] * 13], [1.0] * 16]
    texts = Texts.of(["two red hats", "a blue star"], 16, factors=factors)
    cut = texts.rows(slice(0, 1))
    assert cut.factors is not None and cut.factors.tolist() == [factors[0][: cut.tokens.shape[1]]]
    forgot = texts.forgetting(torch.tensor([True, False]), Texts.of([""], 16)).factors
    assert forgot is not None and forgot[0].tolist() == [1.0] * 16
    torch.manual_seed(0)
    painter = Painter(replace(TINY, tokens=16))
    for weight in painter.parameters():
        torch.nn.init.normal_(weight, std=0.2)
    with_factors, plain = (painter.read(t)[0] for t in (texts, Texts.of(["two red hats", "a blue star"], 16)))
    assert not torch.allclose(with_factors[0], plain[0], atol=1e-3)
    assert torch.allclose(with_factors[1], plain[1], atol=1e-6)


def test_captions_of_new_combinations_are_about_one() -> None:
    for new in (False, True):
        for found in islice(news(new), 12):
            (thing,) = found.about.objects
            assert reserved(thing.kind, thing.colour) == new


def test_the_command_trains_each_painter_once_and_prints_each_way_to_paint(
    root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trained: list[tuple[int, bool]] = []
    real = weighing.train_painter

    def quick(lessons: Lessons, course: Course, seed: int) -> Any:
        trained.append((seed, bool(lessons.factors)))
        return real(lessons, Course(course.steps, 4, shape=replace(TINY, tokens=NEWS_TOKENS)), seed)

    monkeypatch.setattr(weighing, "train_painter", quick)
    monkeypatch.setattr(weighing, "make_news", lambda folder, sources: root)
    words = ["--work", str(tmp_path), "--pictures", "4", "--steps", "2", "--seeds", "0", "1", "--captions", "2"]
    words += ["--eye-steps", "2", "--threads", "1"]
    assert weighing.main(words) == 0
    printed = capsys.readouterr().out
    assert trained == [(0, False), (0, True), (1, False), (1, True)]
    rows = [[cell.strip() for cell in line.split("|")[1:4]] for line in printed.splitlines()[2:]]
    assert rows == [[a, b, s] for a in ("0.0", "0.5") for b in ("0.0", "0.5") for s in ("0", "1")]
    assert weighing.main(words) == 0
    assert capsys.readouterr().out == printed and len(trained) == 4

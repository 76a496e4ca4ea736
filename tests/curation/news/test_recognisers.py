"""Recognisers that are loaded by name or folder, on small checkpoints made here, and how all are measured."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from curation.core.errors import ModelError, SourceError
from curation.news.recognisers import identify, open_recogniser, wanted
from curation.news.score import Accuracy, Labelled, Measure, accuracy, main, read_labelled
from curation.news.spans import Span
from schemas.anchor import Entities
from schemas.news import LABELS
from tests.support.labelled import labelled
from tests.support.tiny_recognisers import tiny_gliner, tiny_spacy

LEARNED = labelled()[:6]
ODD = ["", "the", "'s", "The 's", "🙂 Ann Lee’s U.S. flag", "word " * 300]


@pytest.fixture(scope="module")
def spacy_recipe(tmp_path_factory: pytest.TempPathFactory) -> Entities:
    folder = tiny_spacy(tmp_path_factory.mktemp("spacy") / "tiny", LEARNED)
    return Entities(recogniser="spacy", model=str(folder))


@pytest.fixture(scope="module")
def gliner_recipe(tmp_path_factory: pytest.TempPathFactory) -> Entities:
    return Entities(recogniser="gliner", model=str(tiny_gliner(tmp_path_factory.mktemp("gliner") / "tiny")))


def test_a_spacy_pipeline_finds_what_it_learned_by_exact_span_and_label(spacy_recipe: Entities) -> None:
    found = open_recogniser(spacy_recipe).recognise([item.caption for item in LEARNED])
    assert accuracy(list(found), LEARNED).labelled.f1 > 0.9


@pytest.mark.parametrize("made", ["spacy_recipe", "gliner_recipe"])
def test_whatever_a_checkpoint_finds_its_spans_are_of_the_caption(made: str, request: pytest.FixtureRequest) -> None:
    recipe = request.getfixturevalue(made)
    captions = [*ODD, *(item.caption for item in labelled()[:80])]
    found = list(open_recogniser(recipe).recognise(captions))
    assert len(found) == len(captions) and sum(map(len, found)) > 10
    for caption, spans in zip(captions, found, strict=True):
        assert all(0 <= s.start < s.end <= len(caption) and s.label in LABELS for s in spans)
        assert all(s.score is None or 0 <= s.score <= 1 for s in spans)
        assert all(a.end <= b.start for a, b in pairwise(spans))
        assert not any(caption[s.start : s.end].endswith(("'s", "’s")) for s in spans)


def test_the_score_of_a_checkpoint_is_kept_and_low_ones_are_left_out(gliner_recipe: Entities) -> None:
    (spans,) = open_recogniser(gliner_recipe).recognise([labelled()[0].caption])
    scores = sorted(s.score or 0.0 for s in spans)
    limit = scores[len(scores) // 2]
    kept = wanted(gliner_recipe.model_copy(update={"min_score": limit}), spans)
    assert 0 < len(kept) < len(spans) and all((s.score or 0.0) >= limit for s in kept)


def test_a_checkpoint_is_known_by_its_content(gliner_recipe: Entities, tmp_path: Path) -> None:
    first = identify(gliner_recipe)
    other = tiny_gliner(tmp_path / "tiny")
    (other / "gliner_config.json").write_text((other / "gliner_config.json").read_text() + "\n")
    assert first == identify(gliner_recipe)
    assert first.revision != identify(Entities(recogniser="gliner", model=str(other))).revision


@pytest.mark.parametrize(("recogniser", "said"), [("spacy", "as a spaCy pipeline"), ("gliner", "as a GLiNER checkp")])
def test_what_is_no_checkpoint_is_told_in_one_line_before_any_work(recogniser: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match=said) as caught:
        identify(Entities(recogniser=recogniser, model=str(tmp_path)))  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_precision_and_recall_count_spans_and_labels() -> None:
    item = Labelled("bbc", "Ann Lee in Leeds", (Span(0, 7, "PERSON"), Span(11, 16, "GPE")), held_back=False)
    found = [[Span(0, 7, "ORG"), Span(11, 16, "GPE"), Span(8, 10, "LOC")]]
    assert accuracy(found, [item]) == Accuracy(Measure(2 / 3, 1.0, 0.8), Measure(1 / 3, 0.5, 0.4))
    assert accuracy([[]], [item]) == Accuracy(Measure(0, 0, 0), Measure(0, 0, 0))


def test_the_measure_of_any_recogniser_is_a_row_of_a_table(
    spacy_recipe: Entities, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([]) == 0
    assert main(["--recogniser", "spacy", "--model", spacy_recipe.model]) == 0
    assert main(["--recogniser", "llm", "--set", "llm.backend=scripted"]) == 0
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if "recogniser" not in line]
    f1 = [float(row[3]) for row in rows]
    assert f1[0] >= 0.8 and 0 < f1[1] < f1[0] and 0 < f1[2] < f1[0]
    assert main(["--recogniser", "spacy", "--model", "none"]) == 2
    assert capsys.readouterr().err.startswith("error: entities.model 'none'")


@pytest.mark.parametrize("text", ["", "# nothing\n", "no tab\n", "a\tb\tc\n"])
def test_a_file_without_labelled_captions_is_told(text: str, tmp_path: Path) -> None:
    (tmp_path / "captions.txt").write_text(text)
    with pytest.raises(SourceError, match="holds no labelled captions"):
        read_labelled(tmp_path / "captions.txt")
    with pytest.raises(SourceError, match="cannot be read"):
        read_labelled(tmp_path / "none.txt")

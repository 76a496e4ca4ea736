"""Recognisers that are loaded by name or folder, on small checkpoints made here, and how all are measured."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import CancelledError
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from curation.caption.model.chat import ChatReply
from curation.caption.model.scripted import ScriptedModel
from curation.caption.prompts import load as load_prompt
from curation.core.errors import EndpointsGone, ModelError, SourceError
from curation.news.asking import AskingRecogniser
from curation.news.recognisers import identify, open_recogniser, wanted
from curation.news.score import Accuracy, Labelled, Measure, accuracy, main, read_labelled
from curation.news.spans import Span
from schemas.anchor import Entities
from schemas.chat import Chat
from schemas.news import LABELS
from tests.support.chat_server import chat_server
from tests.support.labelled import labelled
from tests.support.tiny_recognisers import tiny_gliner, tiny_spacy

LEARNED = labelled()[:6]
HONOURED = '{"honoured":true}'  # what the preflight asks a server for
TEN = "one two three four five six seven eight nine ten"
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
    kept = wanted(gliner_recipe.model_copy(update={"min_score": limit}), labelled()[0].caption, spans)
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
    item = Labelled("bbc", "Ann Lee in Leeds", (Span(0, 7, "PERSON"), Span(11, 16, "GPE")))
    found = [[Span(0, 7, "ORG"), Span(11, 16, "GPE"), Span(8, 10, "LOC")]]
    assert accuracy(found, [item]) == Accuracy(Measure(2 / 3, 1.0, 0.8), Measure(1 / 3, 0.5, 0.4))
    assert accuracy([[]], [item]) == Accuracy(Measure(0, 0, 0), Measure(0, 0, 0))


def rows(printed: str) -> list[list[str]]:
    return [line.strip("| ").split(" | ") for line in printed.splitlines()[2:]]


def test_the_measure_of_any_recogniser_is_a_table_with_a_row_for_each_file(
    spacy_recipe: Entities, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([]) == 0
    ours = rows(capsys.readouterr().out)
    assert [row[1] for row in ours] == ["labelled (210)", "held_out (150)"]
    assert main(["--recogniser", "spacy", "--model", spacy_recipe.model]) == 0
    learned = rows(capsys.readouterr().out)
    for one, other in zip(ours, learned, strict=True):
        assert float(one[4]) >= 0.9 and 0 < float(other[4]) < float(one[4])
    assert main(["--recogniser", "spacy", "--model", "none"]) == 2
    assert capsys.readouterr().err.startswith("error: entities.model 'none'")


LLM = ("--recogniser", "llm", "--model", "tiny", "--set", "llm.backend=server", "--set", "llm.timeout=1")


def test_replies_that_cannot_be_used_are_counted_by_reason(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "four.txt"
    file.write_text("".join(f"bbc\tA man and [Ann Lee|PERSON] wave {n}\n" for n in range(4)))
    good = '{"entities": [{"text": "Ann Lee", "label": "PERSON"}]}'

    def reply(body: dict[str, Any]) -> str:
        asked = json.dumps(body)
        return "no JSON" if "wave 2" in asked else good if "Ann Lee" in asked else HONOURED

    with chat_server(reply=reply) as server:
        assert main([*LLM, "--set", f'llm.endpoints=["{server.url}"]', str(file)]) == 0
    ((*_, unusable),) = rows(capsys.readouterr().out)
    assert unusable == "0.250 (invalid_reply 1)"


def test_a_server_without_the_model_is_refused_before_any_caption(capsys: pytest.CaptureFixture[str]) -> None:
    with chat_server(model="other") as server:
        assert main([*LLM, "--set", f'llm.endpoints=["{server.url}"]']) == 2
        assert capsys.readouterr().err.startswith("error: ")
        assert not any("wave" in json.dumps(body) for body in server.asked)


def test_a_server_that_ignores_the_schema_is_refused_by_the_preflight(capsys: pytest.CaptureFixture[str]) -> None:
    with chat_server(
        reply=lambda _: "Hello.",
    ) as server:
        server.fault = lambda _, body: "400" if "response_format" in body else None
        assert main([*LLM, "--set", f'llm.endpoints=["{server.url}"]']) == 2
    assert capsys.readouterr().err.startswith("error: ")
    assert len(server.asked) < 20


@pytest.mark.parametrize("fault", ["429", "503", "hang"])
def test_a_busy_server_ends_the_measure_with_a_line_that_says_so(
    fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    captions = [json.dumps(item.caption)[1:-1] for item in labelled()]
    with chat_server(reply=lambda _: HONOURED) as server:
        server.fault = lambda _, body: fault if any(c in json.dumps(body) for c in captions) else None
        assert main([*LLM, "--set", f'llm.endpoints=["{server.url}"]', "--set", "llm.retries=0"]) == 1
    err = capsys.readouterr().err.splitlines()[-1]
    assert err.startswith("error: no model server has given a reply") and "Cancelled" not in err


def test_requests_that_are_dropped_name_the_server_and_not_the_exception() -> None:
    model = ScriptedModel(lambda _: "{}")
    model.complete = _cancelled  # type: ignore[method-assign]
    recogniser = AskingRecogniser(model, Chat(backend="scripted"), load_prompt("entities"), 64)
    with pytest.raises(EndpointsGone, match="the model server closed the requests"):
        list(recogniser.recognise(["Ann Lee waves"]))


def _cancelled(requests: object) -> Iterator[ChatReply]:
    raise CancelledError
    yield


@pytest.mark.parametrize(
    ("caption", "found", "kept"),
    [
        ("Tesla CEO Elon Musk waves in Paris", "Tesla CEO Elon Musk", "Elon Musk"),
        ("President Barack Obama waves in Paris", "President Barack Obama", "Barack Obama"),
        ("Sen. Ann Lee waves in Paris", "Sen. Ann Lee", "Ann Lee"),
        ("Martin Luther King Jr. waves in Paris", "Martin Luther King Jr.", "Martin Luther King Jr."),
        ("Stephen King waves in Paris", "Stephen King", "Stephen King"),
        ("Ann Lee waves a red flag in Paris", "Ann Lee waves a red flag in Paris", None),
        ("Ann Lee waves a red flag in Paris.", "Ann Lee waves a red flag in Paris", None),
        (
            "A man says one two three four five six seven eight nine",
            "man says one two three four five six seven eight nine",
            None,
        ),
        ("Ann Lee", "Ann Lee", "Ann Lee"),
    ],
)
def test_whoever_finds_a_name_it_is_without_titles_not_too_long_and_not_the_whole_caption(
    caption: str, found: str, kept: str | None
) -> None:
    start = caption.index(found)
    spans = wanted(Entities(), caption, [Span(start, start + len(found), "PERSON")])
    assert [caption[s.start : s.end] for s in spans] == ([] if kept is None else [kept])


@pytest.mark.parametrize("text", ["", "# nothing\n", "no tab\n", "a\tb\tc\n"])
def test_a_file_without_labelled_captions_is_told(text: str, tmp_path: Path) -> None:
    (tmp_path / "captions.txt").write_text(text)
    with pytest.raises(SourceError, match="holds no labelled captions"):
        read_labelled(tmp_path / "captions.txt")
    with pytest.raises(SourceError, match="cannot be read"):
        read_labelled(tmp_path / "none.txt")

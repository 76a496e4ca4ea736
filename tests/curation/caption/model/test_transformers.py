"""A real checkpoint, small and untrained, answers for real."""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field
from transformers import AutoModelForImageTextToText, AutoProcessor, CLIPConfig, GPT2Config

from curation.caption.model import checkpoint, decoding
from curation.caption.model.chat import ChatModel, ChatReply, ChatRequest, Sampling
from curation.caption.model.checkpoint import identify
from curation.caption.model.decoding import Guide, SampleByRow
from curation.caption.model.open import check_model
from curation.caption.model.transformers import TransformersModel
from curation.core.errors import LapidaryError, ModelError
from schemas.chat import Captioning, Chat
from schemas.reasons import Reason
from tests.support.injections import HOSTILE
from tests.support.keepers import picture
from tests.support.tiny_checkpoint import make_tiny_checkpoint
from tests.support.tiny_models import tiny_captioner, tiny_llama, tiny_qwen, tiny_sentencepiece


def requests(count: int, sampling: Sampling = Sampling(max_tokens=8), **more: Any) -> list[ChatRequest]:  # noqa: B008
    return [
        ChatRequest(str(i), f"describe {'the thing ' * i}", image=picture(i, 80 + 9 * i), sampling=sampling, **more)
        for i in range(count)
    ]


def answer(model: ChatModel, asked: list[ChatRequest]) -> dict[str, ChatReply]:
    replies = list(model.complete(asked))
    assert sorted(r.key for r in replies) == sorted(r.key for r in asked)
    return {r.key: r for r in replies}


@pytest.fixture(scope="module")
def model() -> TransformersModel:
    folder = str(tiny_captioner())
    return TransformersModel(folder, identify(folder), batch=3, threads=1, device="cpu")


def test_the_tiny_checkpoint_is_the_same_everywhere_and_small(tmp_path: Path) -> None:
    make_tiny_checkpoint(tmp_path / "one")
    for path in tiny_captioner().iterdir():
        assert path.read_bytes() == (tmp_path / "one" / path.name).read_bytes()
    assert sum(p.stat().st_size for p in tiny_captioner().iterdir()) < 4_000_000
    make_tiny_checkpoint(tmp_path / "two", seed=1)
    assert identify(str(tmp_path / "two")).revision != identify(str(tmp_path / "one")).revision


def test_every_request_gets_a_reply_and_images_matter(model: TransformersModel) -> None:
    replies = answer(model, requests(7))
    assert all(r.text and r.finish == "length" and r.tokens_out == 8 for r in replies.values())
    same_words = [
        ChatRequest(str(i), "describe it", image=picture(i), sampling=Sampling(max_tokens=8)) for i in range(4)
    ]
    assert len({r.text for r in answer(model, same_words).values()}) > 1


def test_a_checkpoint_that_could_see_videos_too_is_used_without_torchvision() -> None:
    folder = str(tiny_qwen())
    model = TransformersModel(folder, identify(folder), batch=3, threads=1, device="cpu")
    replies = answer(model, requests(5))
    assert all(r.text is not None and r.finish for r in replies.values())
    tokens = [replies[str(i)].tokens_in or 0 for i in range(5)]
    assert tokens == sorted(set(tokens))


def test_greedy_replies_equal_transformers_own(model: TransformersModel) -> None:
    folder = tiny_captioner()
    processor = AutoProcessor.from_pretrained(folder)
    own = AutoModelForImageTextToText.from_pretrained(folder)
    for request in requests(3):
        turns = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": request.user}]}]
        text = processor.apply_chat_template(turns, add_generation_prompt=True)
        image = Image.open(BytesIO(request.image or b"")).convert("RGB")
        inputs = processor(text=text, images=image, return_tensors="pt", add_special_tokens=False)
        out = own.generate(**inputs, max_new_tokens=8, do_sample=False)
        said = processor.decode(out[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True).strip()
        reply = answer(model, [request])[request.key]
        assert (reply.text, reply.tokens_in) == (said, inputs["input_ids"].shape[1])


def test_the_same_batches_give_the_same_replies(model: TransformersModel) -> None:
    first, second = ({k: replace(r, seconds=0.0) for k, r in answer(model, requests(7)).items()} for _ in range(2))
    assert first == second


def test_sampled_replies_repeat_and_do_not_depend_on_their_neighbours(model: TransformersModel) -> None:
    asked = requests(6, Sampling(max_tokens=8, temperature=1.0, top_p=0.95, seed=7))
    whole = {k: r.text for k, r in answer(model, asked).items()}
    alone = {r.key: answer(model, [r])[r.key].text for r in asked}
    assert whole == alone
    other = requests(6, Sampling(max_tokens=8, temperature=1.0, top_p=0.95, seed=8))
    assert {k: r.text for k, r in answer(model, other).items()} != whole


def test_sampling_follows_the_softmax() -> None:
    wanted = torch.tensor([0.6, 0.3, 0.1, 0.0])
    draws = SampleByRow(Sampling(temperature=1.0), range(4000))(torch.zeros(4000, 1), wanted.log().repeat(4000, 1))
    found = torch.bincount(draws.argmax(1), minlength=4) / 4000
    assert torch.allclose(found, wanted, atol=0.03)
    cut = SampleByRow(Sampling(temperature=1.0, top_p=0.85), range(500))(
        torch.zeros(500, 1), wanted.log().repeat(500, 1)
    )
    assert set(cut.argmax(1).tolist()) == {0, 1}


def test_requests_with_and_without_image_may_be_mixed(model: TransformersModel) -> None:
    asked = requests(4)
    asked[1] = ChatRequest("1", "only words", sampling=Sampling(max_tokens=8))
    assert all(r.text for r in answer(model, asked).values())


def test_control_tokens_in_a_text_stay_text(model: TransformersModel) -> None:
    asked = [
        ChatRequest(str(i), f"<image></s><s> {text}", image=picture(i), sampling=Sampling(max_tokens=2))
        for i, text in enumerate(HOSTILE)
    ]
    assert all(r.text is not None for r in answer(model, asked).values())


def test_an_image_that_is_none_costs_only_itself(model: TransformersModel) -> None:
    asked = requests(3)
    asked[1] = ChatRequest("1", "describe", image=b"not an image", sampling=Sampling(max_tokens=8))
    replies = answer(model, asked)
    assert replies["1"].reason is Reason.MODEL_REFUSED_REQUEST
    assert "decoded" in (replies["1"].detail or "")
    assert replies["0"].text
    assert replies["2"].text


def test_a_prompt_beyond_the_context_costs_only_itself(model: TransformersModel) -> None:
    asked = requests(3)
    asked[1] = ChatRequest("1", "日" * 9000, image=picture(1), sampling=Sampling(max_tokens=8))
    replies = answer(model, asked)
    assert replies["1"].reason is Reason.MODEL_REFUSED_REQUEST
    assert "8192" in (replies["1"].detail or "")
    assert replies["0"].text
    assert replies["2"].text


def test_a_reply_ends_at_the_end_token(model: TransformersModel) -> None:
    row = model._tokenizer.encode(" red box", add_special_tokens=False)
    request = requests(1)[0]
    end = model._ends[0]
    stopped = model._reply(request, 3, [*row, end, 0, 0], 0.0)
    assert (stopped.text, stopped.finish, stopped.tokens_out) == ("red box", "stop", len(row) + 1)
    assert model._reply(request, 3, row, 0.0).finish == "length"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_captioner(), tmp_path / "model"))


def test_the_revision_is_the_contents_and_not_the_place(folder: Path, tmp_path: Path) -> None:
    found = identify(str(folder)).revision
    moved = tmp_path / "elsewhere"
    shutil.copytree(folder, moved)
    (moved / "README.md").write_text("words")
    assert identify(str(moved)).revision == found
    config = json.loads((moved / "generation_config.json").read_text())
    (moved / "generation_config.json").write_text(json.dumps(config | {"eos_token_id": 5}))
    assert identify(str(moved)).revision != found


def one_line(model: str) -> str:
    with pytest.raises(ModelError) as error:
        identify(model)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_model_that_is_none_is_said_in_one_line(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "without config.json" in one_line(str(tmp_path / "empty"))
    assert "is not there" in one_line(str(tmp_path / "missing"))
    assert "neither a checkpoint folder nor" in one_line("no-such/model")
    GPT2Config().save_pretrained(tmp_path / "gpt2")
    assert "gpt2 checkpoint, which reads text only" in one_line(str(tmp_path / "gpt2"))
    (folder / "model.safetensors").unlink()
    assert "no *.safetensors" in one_line(str(folder))
    (folder / "config.json").write_text("{")
    assert "neither a checkpoint folder nor" in one_line(str(folder))


def test_torn_weights_are_said_before_any_work(folder: Path) -> None:
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    for size in (0, 5000, len(whole) - 1):
        weights.write_bytes(whole[:size])
        assert "weights are damaged" in one_line(str(folder))
    weights.write_bytes(whole)
    index = {"metadata": {}, "weight_map": {"a": "model.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "lacks 1 weight files, model-00002" in one_line(str(folder))


def test_weights_that_do_not_fit_are_said_in_one_line(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["hidden_size"] = 64
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="cannot be loaded") as error:
        TransformersModel(str(folder), identify(str(folder)))
    assert "\n" not in str(error.value)


def test_a_checkpoint_that_cannot_chat_is_refused_before_any_work(folder: Path) -> None:
    (folder / "chat_template.jinja").unlink()
    assert "no chat template" in one_line(str(folder))
    (folder / "tokenizer.json").write_text("{}")
    assert "no usable processor" in one_line(str(folder))


def test_code_that_comes_with_a_checkpoint_is_not_run(folder: Path, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    (folder / "evil.py").write_text(f"open({str(marker)!r}, 'w').write('x')\nclass Evil: pass\n")
    config = json.loads((folder / "config.json").read_text())
    fields = {"auto_map": {"AutoConfig": "evil.Evil", "AutoModelForImageTextToText": "evil.Evil"}, "model_type": "evil"}
    (folder / "config.json").write_text(json.dumps(config | fields))
    one_line(str(folder))
    assert not marker.exists()


def test_a_gpu_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    folder = str(tiny_captioner())
    with pytest.raises(ModelError, match="no GPU"):
        TransformersModel(folder, identify(folder), device="cuda")


def test_the_demo_model_warns_that_it_is_for_its_own_world_only(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(tiny_captioner(), tmp_path / "shipped"))
    monkeypatch.setattr(checkpoint, "_SHIPPED", {"demo": copy, "demo-verifier": copy})
    checkpoint.warn_of_demo.cache_clear()  # another test may have logged it already
    with caplog.at_level(logging.WARNING):
        for name in ("demo", "demo-verifier"):
            assert check_model(Captioning(model=name)).name == name
    said = [r.getMessage() for r in caplog.records if "not for real photographs" in r.getMessage()]
    assert len(said) == 2
    assert "caption.model" in said[0]
    assert "verify.model" in said[1]


def test_a_demo_captioner_that_is_not_installed_is_an_error_and_never_a_stand_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(checkpoint, "_SHIPPED", {"demo": tmp_path / "nothing"})
    with pytest.raises(ModelError, match=r"not installed.*name another model"):
        check_model(Captioning(model="demo"))
    assert list(tmp_path.iterdir()) == []


# Replies that are data


class Choice(BaseModel):
    """What no untrained model writes unless it is guided."""

    model_config = ConfigDict(extra="forbid")

    colour: Literal["red", "green", "blue"]
    count: int = Field(ge=0, le=99)


DATA = Sampling(max_tokens=48)


@pytest.fixture(scope="module")
def reader() -> TransformersModel:
    folder = str(tiny_llama())
    return TransformersModel(folder, identify(folder, images=False), batch=3, threads=1, device="cpu")


def questions(count: int, sampling: Sampling = DATA, **more: Any) -> list[ChatRequest]:
    return [
        ChatRequest(
            str(i), f"colour and count of {'thing ' * i}", "Answer.", sampling=sampling, reply_type=Choice, **more
        )
        for i in range(count)
    ]


@pytest.mark.parametrize("shape", [tiny_captioner, tiny_qwen, tiny_llama, tiny_sentencepiece])
@pytest.mark.parametrize("temperature", [0.0, 1.5])
def test_replies_that_are_data_follow_their_schema(shape: Any, temperature: float) -> None:
    folder = str(shape())
    model = TransformersModel(folder, identify(folder, images=False), batch=3, threads=1, device="cpu")
    asked = questions(5, replace(DATA, max_tokens=128, temperature=temperature))
    for reply in answer(model, asked).values():
        assert Choice.model_validate_json(reply.text or ""), reply.detail
        assert reply.finish == "stop" and (reply.tokens_out or 0) <= 128


def test_free_text_in_the_same_batch_stays_what_it_is_alone(model: TransformersModel) -> None:
    free = [replace(r, image=None, key=f"free {r.key}") for r in requests(3, DATA)]
    mixed = answer(model, [x for pair in zip(free, questions(3), strict=True) for x in pair])
    for request in free:
        assert mixed[request.key].text == answer(model, [request])[request.key].text
    assert all(mixed[r.key].reason is None for r in questions(3))


def unguided(model: TransformersModel, monkeypatch: pytest.MonkeyPatch) -> list[list[ChatRequest]]:
    """The model without its guide; what it generates for."""
    asked: list[list[ChatRequest]] = []
    generate = model._generate

    def noted(inputs: Any, those: Any, *others: Any) -> list[list[int]]:
        asked.append(list(those))
        return generate(inputs, those, *others)

    monkeypatch.setattr(Guide, "processors", lambda *_: [])
    monkeypatch.setattr(model, "_generate", noted)
    return asked


def test_an_invalid_reply_is_asked_for_once_more_and_both_are_paid(
    reader: TransformersModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = unguided(reader, monkeypatch)
    replies = answer(reader, questions(2, limit_key="entities.max_tokens"))
    first, second = asked
    assert [r.correction for r in first] == [None, None]
    assert all(r.correction is not None and r.correction.said for r in second)
    assert [r.sampling.max_tokens for r in second] == [2 * DATA.max_tokens] * 2  # the first replies were cut
    for reply in replies.values():
        assert reply.reason is Reason.INVALID_REPLY and reply.text is None and reply.said
        assert reply.tokens_out == 3 * DATA.max_tokens
        detail = reply.detail or ""
        assert "entities.max_tokens" in detail and "not a Choice" in detail and "the reply begins “" in detail


def test_a_repaired_reply_is_good_and_costs_both(reader: TransformersModel, monkeypatch: pytest.MonkeyPatch) -> None:
    good = '```json\n{"colour": "red", "count": 2}\n```'
    said = iter([reader._tokenizer.encode(" no", add_special_tokens=False), reader._tokenizer.encode(good)])
    monkeypatch.setattr(reader, "_generate", lambda *_: [[*next(said), reader._ends[0]]])
    reply = answer(reader, questions(1))["0"]
    assert reply.text == '{"colour": "red", "count": 2}' and reply.reason is None
    assert (
        reply.tokens_out
        == len(reader._tokenizer.encode(" no", add_special_tokens=False)) + 1 + len(reader._tokenizer.encode(good)) + 1
    )


def test_a_correction_beyond_the_context_leaves_the_first_reply(
    reader: TransformersModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    unguided(reader, monkeypatch)
    monkeypatch.setattr(reader, "_context", 160)
    reply = answer(reader, questions(1, Sampling(max_tokens=80)))["0"]
    assert reply.reason is Reason.INVALID_REPLY and reply.tokens_out == 80


def test_what_cannot_be_guided_is_checked_as_it_comes(
    reader: TransformersModel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(reader, "_guide", None)
    monkeypatch.setattr(decoding.llguidance.hf, "from_tokenizer", lambda *_, **__: int("no"))
    assert answer(reader, questions(1))["0"].reason is Reason.INVALID_REPLY
    assert any("not guided" in r.getMessage() for r in caplog.records)


# Checkpoints that read text only


def test_a_language_model_answers_and_is_no_captioner(reader: TransformersModel) -> None:
    folder = str(tiny_llama())
    assert check_model(Chat(model=folder)) == identify(folder, images=False) == reader.identity
    assert answer(reader, [ChatRequest("a", "say a word", "Be short.", sampling=Sampling(max_tokens=4))])["a"].text
    with pytest.raises(ModelError, match=r"llama checkpoint, which reads text only; a captioner must see images"):
        check_model(Captioning(model=folder))
    with pytest.raises(ModelError, match=r"^caption\.model"):
        check_model(Captioning(model=folder))


def test_an_image_for_a_language_model_costs_that_request_only(reader: TransformersModel) -> None:
    asked = [ChatRequest("a", "say", sampling=Sampling(max_tokens=4)), requests(1, Sampling(max_tokens=4))[0]]
    replies = answer(reader, asked)
    assert replies["a"].text and replies["0"].reason is Reason.MODEL_REFUSED_REQUEST


def test_what_answers_with_no_text_is_refused_by_its_own_key(tmp_path: Path) -> None:
    CLIPConfig().save_pretrained(tmp_path / "clip")
    with pytest.raises(ModelError, match=r"^llm\.model .* is a clip checkpoint; one that takes text"):
        check_model(Chat(model=str(tmp_path / "clip")))
    with pytest.raises(ModelError, match=r"^caption\.model .* is a clip checkpoint; one that takes images and text"):
        check_model(Captioning(model=str(tmp_path / "clip")))


# Checkpoints with wishes of their own

REFUSES = "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
IGNORES = "{% set messages = messages | rejectattr('role', 'equalto', 'system') | list %}"


@pytest.mark.parametrize("rule", ["", REFUSES, IGNORES])
@pytest.mark.parametrize("shape", [tiny_captioner, tiny_llama])
def test_a_system_turn_reaches_the_model_whatever_its_template(rule: str, shape: Any, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(shape(), tmp_path / "model"))
    template = folder / "chat_template.jinja"
    template.write_text(rule + template.read_text())
    model = TransformersModel(str(folder), identify(str(folder), images=False), batch=2, threads=1, device="cpu")
    request = ChatRequest("a", "Describe it.", "Be short.", sampling=Sampling(max_tokens=2))
    prompt = model._template.prompt(request)
    assert "Be short." in prompt and "Describe it." in prompt
    # Two tokens of an untrained model may be nothing; what matters is that the template was not refused.
    assert answer(model, [request])["a"].reason is not Reason.MODEL_REFUSED_REQUEST


def test_a_template_that_offers_thinking_is_asked_for_none(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_llama(), tmp_path / "model"))
    template = folder / "chat_template.jinja"
    template.write_text(template.read_text() + "{% if enable_thinking is not false %}<think>{% endif %}")
    model = TransformersModel(str(folder), identify(str(folder), images=False), batch=2, threads=1, device="cpu")
    assert not model._template.prompt(ChatRequest("a", "Hello.")).endswith("<think>")


def test_a_checkpoints_own_search_does_not_replace_the_recipes(folder: Path, model: TransformersModel) -> None:
    config = json.loads((folder / "generation_config.json").read_text())
    own = {"num_beams": 3, "num_return_sequences": 2, "do_sample": True, "temperature": 0.7, "repetition_penalty": 3.0}
    (folder / "generation_config.json").write_text(json.dumps(config | own))
    other = TransformersModel(str(folder), identify(str(folder)), batch=3, threads=1, device="cpu")
    texts = [{k: r.text for k, r in answer(m, requests(3)).items()} for m in (model, other)]
    assert texts[0] == texts[1]


# Images that make a model fail


FAULTS: dict[str, tuple[Exception, Reason]] = {
    "out of memory": (torch.OutOfMemoryError("tried to allocate 80 GiB"), Reason.MODEL_ERROR),
    "memory of the process": (MemoryError(), Reason.MODEL_ERROR),
    "a kernel that fails": (RuntimeError("shape is invalid"), Reason.MODEL_ERROR),
    "height or width too small": (ValueError("height:27 must be larger than factor:28"), Reason.MODEL_REFUSED_REQUEST),
    "an index": (IndexError("list index out of range"), Reason.MODEL_REFUSED_REQUEST),
    "a type": (TypeError("an image of mode P"), Reason.MODEL_REFUSED_REQUEST),
    "no division": (ZeroDivisionError("division by zero"), Reason.MODEL_REFUSED_REQUEST),
}


@pytest.mark.parametrize("where", ["_inputs", "_generate"])
@pytest.mark.parametrize("bad", [{0}, {4}, {1, 2}, {0, 3, 4}, {0, 1, 2, 3, 4}])
@pytest.mark.parametrize("fault", FAULTS)
def test_an_image_that_makes_the_model_fail_costs_its_own_reply_only(
    fault: str, bad: set[int], where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = _loaded()
    whole = getattr(model, where)
    error, reason = FAULTS[fault]

    def failing(*given: Any) -> Any:
        asked = given[0] if where == "_inputs" else given[1]
        if {r.key for r in asked} & {str(n) for n in bad}:
            raise error
        return whole(*given)

    monkeypatch.setattr(model, where, failing)
    replies = answer(model, requests(5, Sampling(max_tokens=2)))
    for n in range(5):
        assert replies[str(n)].reason is (reason if n in bad else None)
        assert replies[str(n)].text or n in bad
        assert n not in bad or type(error).__name__ in (replies[str(n)].detail or "")


def test_a_bad_image_is_found_in_few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    model = _loaded(batch=16)
    steps: list[int] = []
    whole = model._inputs

    def failing(asked: Any, images: Any) -> Any:
        steps.append(len(asked))
        if any(r.key == "7" for r in asked):
            raise ValueError("bad image")
        return whole(asked, images)

    monkeypatch.setattr(model, "_inputs", failing)
    answer(model, requests(16, Sampling(max_tokens=1)))
    assert steps == [16, 8, 4, 4, 2, 2, 1, 1, 1, 8]  # and the last one asks whether the model answers at all


def test_a_model_that_fails_at_everything_costs_no_row_its_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    model = _loaded()

    def failing(*_: Any) -> Any:
        raise RuntimeError("device-side assert triggered")

    monkeypatch.setattr(model, "_generate", failing)
    with pytest.raises(LapidaryError, match="answers nothing any more: RuntimeError: device-side assert"):
        list(model.complete(requests(3)))


def _loaded(batch: int = 3) -> TransformersModel:
    folder = str(tiny_captioner())
    return TransformersModel(folder, identify(folder), batch=batch, threads=1, device="cpu")

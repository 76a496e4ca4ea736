"""Hidden states are those that transformers itself gives for the caption alone, whatever it is computed with."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoTokenizer,
    BartModel,
    CLIPTextModel,
    LlamaForCausalLM,
    LlavaForConditionalGeneration,
    Qwen2_5_VLForConditionalGeneration,
    T5EncoderModel,
)

from curation.core.errors import LapidaryError, ModelError
from curation.features.encoder import TextEncoder, identify
from curation.load.features import Words
from schemas.features import Features
from tests.support.tiny_encoders import ENCODERS, tiny_bart, tiny_clip, tiny_clip_text, tiny_llama, tiny_t5

CAPTIONS = [
    "A red ball stands left of the box, in front of a plain wall.",
    "a dog",
    "There is one small bird and it is blue; the boat is larger and lies behind it. " * 3,
    "\x00\u202e été 漢字 \U0001f3f4",
    "",
]


def encoder(recipe: Features) -> TextEncoder:
    return TextEncoder(recipe, identify(recipe))


def states(words: Words, dtype: torch.dtype = torch.float16) -> torch.Tensor:
    return torch.from_numpy(np.array(words).view(np.int16)).view(dtype)


def by_transformers(kind: str, folder: Path, ids: torch.Tensor, layer: int) -> torch.Tensor:
    """The hidden states of one text by the class that a reader of transformers' manual would take."""
    with torch.inference_mode():
        match kind:
            case "t5":
                model: Any = T5EncoderModel.from_pretrained(folder)
            case "bart":
                model = BartModel.from_pretrained(folder).get_encoder()
            case "llama":
                model = LlamaForCausalLM.from_pretrained(folder).model
            case "llava":
                model = LlavaForConditionalGeneration.from_pretrained(folder).model.language_model
            case "qwen_vl":
                model = Qwen2_5_VLForConditionalGeneration.from_pretrained(folder).model.language_model
            case _:
                model = CLIPTextModel.from_pretrained(folder)
        out = model.eval()(input_ids=ids, attention_mask=torch.ones_like(ids), output_hidden_states=True)
    found: torch.Tensor = out.last_hidden_state if layer == -1 else out.hidden_states[layer]
    return found[0]


@pytest.mark.parametrize("layer", [-1, -2, 0])
@pytest.mark.parametrize("kind", ENCODERS)
def test_states_are_those_of_transformers_for_the_text_alone(kind: str, layer: int) -> None:
    folder = ENCODERS[kind]()
    made = encoder(Features(model=str(folder), layer=layer, max_tokens=38, dtype="float32"))
    tokens = made.tokenise(CAPTIONS)
    own = AutoTokenizer.from_pretrained(folder)
    for caption, found, words in zip(CAPTIONS, tokens, made.encode(tokens), strict=True):
        ids = own(caption, truncation=True, max_length=38)["input_ids"] or [own.bos_token_id]
        assert list(found.ids) == ids and words.shape[0] == len(ids)
        expected = by_transformers(kind, folder, torch.tensor([ids]), layer)
        torch.testing.assert_close(states(words).float(), expected, rtol=2e-3, atol=2e-3)


def test_tokens_beyond_the_maximum_are_cut_and_counted() -> None:
    made = encoder(Features(model=str(tiny_t5()), max_tokens=10))
    whole = encoder(Features(model=str(tiny_t5()), max_tokens=500)).tokenise(CAPTIONS)
    for cut, all_ in zip(made.tokenise(CAPTIONS), whole, strict=True):
        assert len(cut.ids) == min(10, len(all_.ids)) and cut.cut == len(all_.ids) - len(cut.ids) and all_.cut == 0


def test_a_checkpoint_that_takes_fewer_tokens_sets_the_limit() -> None:
    assert identify(Features(model=str(tiny_clip()))).max_tokens == 77
    assert identify(Features(model=str(tiny_bart()))).max_tokens == 40
    assert max(len(t.ids) for t in encoder(Features(model=str(tiny_clip()))).tokenise(["a dog " * 90])) == 77


def test_the_prefix_stands_in_front_of_every_caption_and_of_the_empty_one() -> None:
    made = encoder(Features(model=str(tiny_llama()), prefix="pre "))
    own = AutoTokenizer.from_pretrained(tiny_llama())
    assert [list(t.ids) for t in made.tokenise(["a dog", ""])] == [
        own("pre a dog")["input_ids"],
        own("pre ")["input_ids"],
    ]


def test_both_types_are_stored_as_torch_has_them() -> None:
    for name, dtype in (("float16", torch.float16), ("bfloat16", torch.bfloat16)):
        made = encoder(Features.model_validate({"model": str(tiny_t5()), "stored": name, "dtype": "float32"}))
        tokens = made.tokenise(CAPTIONS[:1])
        (words,) = made.encode(tokens)
        expected = by_transformers("t5", tiny_t5(), torch.tensor([tokens[0].ids]), -1)
        torch.testing.assert_close(states(words, dtype), expected.to(dtype), rtol=1e-2, atol=1e-3)


def test_a_key_names_all_on_which_states_depend() -> None:
    base = Features(model=str(tiny_t5()))
    others: list[dict[str, Any]] = [
        *({"layer": -2}, {"prefix": "pre "}, {"max_tokens": 99}, {"stored": "bfloat16"}, {"dtype": "float32"}),
        {"model": str(tiny_llama())},
    ]
    keys = {identify(base.model_copy(update=change)).key for change in ({}, *others)}
    assert len(keys) == len(others) + 1
    same = base.model_copy(update={"layer": 3, "batch_tokens": 7, "kinds": ["dense"], "workers": 3})
    assert identify(same).key == identify(base).key


def test_what_cannot_be_used_is_refused_in_one_line(tmp_path: Path) -> None:
    def refused(**fields: Any) -> str:
        with pytest.raises(ModelError) as error:
            identify(Features(**fields))
        assert "\n" not in str(error.value)
        return str(error.value)

    t5 = str(tiny_t5())
    assert "has 3 layers: name one from 0 (the token embeddings) to 3, or from -1" in refused(model=t5, layer=4)
    assert "to -4" in refused(model=t5, layer=-5)
    assert "is not there" in refused(model="/nowhere/at/all")
    assert "is a folder without config.json" in refused(model=str(tmp_path))
    assert "leaves no token for a caption" in refused(model=str(tiny_clip_text()), max_tokens=2)
    bare = tmp_path / "bare"
    shutil.copytree(t5, bare, ignore=shutil.ignore_patterns("token*", "special*"))
    assert "tokenizer" in refused(model=str(bare))
    pickled = tmp_path / "pickled"
    shutil.copytree(t5, pickled, ignore=shutil.ignore_patterns("*.safetensors"))
    torch.save({}, pickled / "pytorch_model.bin")
    assert "has no *.safetensors file" in refused(model=str(pickled))


def test_weights_that_are_missing_are_not_made_up(tmp_path: Path) -> None:
    folder = tmp_path / "part"
    shutil.copytree(tiny_t5(), folder)
    weights = load_file(folder / "model.safetensors")
    del weights["encoder.block.1.layer.0.SelfAttention.q.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"lacks 1 weights of its text part, encoder\.block\.1"):
        encoder(Features(model=str(folder)))


def test_a_tokenizer_of_another_checkpoint_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    shutil.copytree(tiny_t5(), folder)
    for file in tiny_clip().glob("*token*"):
        shutil.copy(file, folder / file.name)
    with pytest.raises(ModelError, match="has a tokenizer of another checkpoint"):
        encoder(Features(model=str(folder))).tokenise(CAPTIONS)


@pytest.mark.parametrize(("scale", "said"), [(1e6, "set features.stored to bfloat16"), (float("nan"), "no finite")])
def test_states_that_do_not_fit_are_refused(tmp_path: Path, scale: float, said: str) -> None:
    folder = tmp_path / "large"
    shutil.copytree(tiny_t5(), folder)
    weights = load_file(folder / "model.safetensors")
    weights["encoder.final_layer_norm.weight"] *= scale
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    made = encoder(Features(model=str(folder), dtype="float32"))
    with pytest.raises(LapidaryError, match=said):
        made.encode(made.tokenise(CAPTIONS))


def test_code_that_comes_with_a_checkpoint_is_never_run(tmp_path: Path) -> None:
    folder = tmp_path / "own-code"
    shutil.copytree(tiny_llama(), folder)
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Evil: ...\n")
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoConfig": "evil.Evil", "AutoModel": "evil.Evil"}
    (folder / "config.json").write_text(json.dumps(config))
    encoder(Features(model=str(folder))).tokenise(["a dog"])
    assert not (tmp_path / "ran").exists()

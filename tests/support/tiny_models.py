"""Tiny untrained captioners of two common shapes, and a language model without eyes, built once a process."""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, trainers
from transformers import (
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2VLImageProcessorPil,
)

from tests.support.tiny_checkpoint import draw_weights, make_tiny_checkpoint

_TEXT_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{{ m.role + ': ' + m.content + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)
_QWEN_TEMPLATE = (
    "{% for m in messages %}{{ m.role }}: {% for p in m.content %}{% if p.type == 'image' %}<|vision_start|><image>"
    "<|vision_end|>{% else %}{{ p.text }}{% endif %}{% endfor %}\n{% endfor %}assistant:"
)


@cache
def tiny_captioner() -> Path:
    """A folder with a checkpoint that transformers and vLLM load; removed at exit."""
    folder = Path(tempfile.mkdtemp(prefix="tiny-captioner-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    make_tiny_checkpoint(folder / "tiny")
    return folder / "tiny"


@cache
def tiny_qwen() -> Path:
    """The same for the Qwen2.5-VL shape, whose processor wants torchvision for videos; removed at exit."""
    folder = Path(tempfile.mkdtemp(prefix="tiny-qwen-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    tokenizer = AutoTokenizer.from_pretrained(tiny_captioner())
    marks = ["<|vision_start|>", "<|vision_end|>", "<|video_pad|>"]
    tokenizer.add_tokens(marks, special_tokens=True)
    start, end, video, image = tokenizer.convert_tokens_to_ids([*marks, "<image>"])
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "max_position_embeddings": 4096,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [4, 6, 6]},
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }
    vision = {
        "depth": 2,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_heads": 2,
        "out_hidden_size": 64,
        "fullatt_block_indexes": [1],
    }
    config = Qwen2_5_VLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=image,
        video_token_id=video,
        vision_start_token_id=start,
        vision_end_token_id=end,
    )
    Qwen2_5_VLForConditionalGeneration(config).save_pretrained(folder)
    tokenizer.chat_template = _QWEN_TEMPLATE
    tokenizer.save_pretrained(folder)
    Qwen2VLImageProcessorPil(min_pixels=4 * 28 * 28, max_pixels=64 * 28 * 28).save_pretrained(folder)
    return folder


@cache
def tiny_llama() -> Path:
    """A causal language model that reads text only, whose chat template takes plain strings; removed at exit."""
    folder = Path(tempfile.mkdtemp(prefix="tiny-llama-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return _causal(AutoTokenizer.from_pretrained(tiny_captioner()), folder)


@cache
def tiny_sentencepiece() -> Path:
    """The same with a vocabulary of SentencePiece's kind: blanks are ▁, and bytes are tokens such as <0x41>."""
    folder = Path(tempfile.mkdtemp(prefix="tiny-sentencepiece-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    special = ["<unk>", "<s>", "</s>"]
    made = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    made.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    kept = [*special, *(f"<0x{n:02X}>" for n in range(256))]
    trainer = trainers.BpeTrainer(vocab_size=500, special_tokens=kept, show_progress=False)
    made.train_from_iterator(["the red ball lies on a table", "two blue things stand by the door"] * 4, trainer)
    fields = json.loads(made.to_str())
    fields["added_tokens"] = [t for t in fields["added_tokens"] if t["content"] in special]  # bytes are ordinary tokens
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(fields)),
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="</s>",
    )
    return _causal(tokenizer, folder)


def _causal(tokenizer: Any, folder: Path) -> Path:
    """Writes a Llama for the tokenizer, with a chat template that takes plain strings."""
    config = LlamaConfig(
        vocab_size=len(tokenizer) + 24,  # as many checkpoints have it: more rows than tokens
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = LlamaForCausalLM(config)
    draw_weights(model, 0)
    model.save_pretrained(folder)
    tokenizer.chat_template = _TEXT_TEMPLATE
    tokenizer.save_pretrained(folder)
    return folder

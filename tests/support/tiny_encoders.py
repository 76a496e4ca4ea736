"""Tiny untrained language models whose hidden states can be asked for: a T5, a Llama, a CLIP and a BART."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

import torch
from transformers import AutoTokenizer, BartConfig, BartModel, CLIPTextModel, T5Config, T5ForConditionalGeneration

from tests.support.tiny_clip import make_tiny_clip
from tests.support.tiny_models import tiny_captioner, tiny_llama, tiny_qwen

WIDTH = 32


def _folder(name: str) -> Path:
    folder = Path(tempfile.mkdtemp(prefix=f"tiny-{name}-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder / name


@cache
def tiny_t5() -> Path:
    """A whole T5, encoder and decoder, as such checkpoints are published; removed at exit."""
    folder = _folder("t5")
    tokenizer = AutoTokenizer.from_pretrained(tiny_captioner())
    config = T5Config(
        vocab_size=len(tokenizer), d_model=WIDTH, d_kv=8, d_ff=64, num_layers=3, num_heads=2, pad_token_id=0
    )
    torch.manual_seed(0)
    T5ForConditionalGeneration(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@cache
def tiny_bart() -> Path:
    """The same for a shape without an encoder class of its own; it takes 40 tokens."""
    folder = _folder("bart")
    tokenizer = AutoTokenizer.from_pretrained(tiny_captioner())
    sizes = {"d_model": WIDTH, "encoder_layers": 2, "decoder_layers": 1, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
    torch.manual_seed(0)
    BartModel(
        BartConfig(vocab_size=len(tokenizer), max_position_embeddings=40, pad_token_id=0, **sizes, **heads)
    ).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@cache
def tiny_clip() -> Path:
    """A CLIP with both towers; removed at exit."""
    return make_tiny_clip(_folder("clip"))


@cache
def tiny_clip_text() -> Path:
    """The text tower of that one alone."""
    folder = _folder("clip-text")
    CLIPTextModel.from_pretrained(tiny_clip()).save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny_clip()).save_pretrained(folder)
    return folder


ENCODERS = {
    "t5": tiny_t5,
    "llama": tiny_llama,
    "clip": tiny_clip,
    "clip_text": tiny_clip_text,
    "bart": tiny_bart,
    "llava": tiny_captioner,
    "qwen_vl": tiny_qwen,
}

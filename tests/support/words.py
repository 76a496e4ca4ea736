"""A fast tokenizer of a dozen words, and a text encoder that reads them."""

from __future__ import annotations

import torch
from tokenizers import Regex, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split
from transformers import CLIPTextConfig, CLIPTextModel, PreTrainedTokenizerFast

WIDTH = 32


def word_tokenizer() -> PreTrainedTokenizerFast:
    """Words and signs, known or not; any fast tokenizer would do."""
    words = ["[PAD]", "[UNK]", "[BOS]", "[EOS]", "ann", "lee", "waves", "in", "the", "rain", "."]
    made = Tokenizer(WordLevel({w: n for n, w in enumerate(words)}, unk_token="[UNK]"))
    made.pre_tokenizer = Split(Regex(r"\w+|[^\w\s]"), behavior="removed", invert=True)
    fast = PreTrainedTokenizerFast(tokenizer_object=made, pad_token="[PAD]", unk_token="[UNK]")
    fast.model_max_length = 77
    return fast


def states_of(caption: str) -> torch.Tensor:
    """The last hidden states (1, 77, ``WIDTH``) of a small untrained CLIP text encoder."""
    torch.manual_seed(0)
    config = CLIPTextConfig(
        vocab_size=11, hidden_size=WIDTH, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        bos_token_id=2, eos_token_id=3, pad_token_id=0, max_position_embeddings=77,
    )  # fmt: skip
    ids = word_tokenizer()(caption, padding="max_length", max_length=77, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        return CLIPTextModel(config).eval()(ids)[0]  # type: ignore[no-any-return]

"""Tiny untrained two-tower checkpoints, made in code; their numbers mean nothing, but they are numbers."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import (
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPProcessor,
    CLIPTokenizer,
    PreTrainedTokenizerFast,
    SiglipConfig,
    SiglipImageProcessorPil,
    SiglipModel,
)

from curation.caption.check.clip_tokens import vocabulary

_SIDE = 32
_TOWER = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}


def make_tiny_clip(folder: Path, seed: int = 0) -> Path:
    """A CLIP of two layers a tower with CLIP's own vocabulary, about 7 MB; returns the folder."""
    ids, merges = vocabulary()
    tokenizer = CLIPTokenizer(vocab=ids, merges=merges, model_max_length=77)
    size = {"height": _SIDE, "width": _SIDE}
    images = CLIPImageProcessorPil(size={"shortest_edge": _SIDE}, crop_size=size)
    end = ids["<|endoftext|>"]
    config = CLIPConfig(
        text_config=_TOWER
        | {"vocab_size": len(ids), "eos_token_id": end, "bos_token_id": end - 1, "pad_token_id": end},
        vision_config=_TOWER | {"image_size": _SIDE, "patch_size": 8},
        projection_dim=16,
    )
    torch.manual_seed(seed)
    CLIPModel(config).save_pretrained(folder)
    CLIPProcessor(image_processor=images, tokenizer=tokenizer).save_pretrained(folder)
    return folder


def make_tiny_siglip(folder: Path, seed: int = 0) -> Path:
    """A SigLIP of the same size, whose text tower takes 16 tokens; returns the folder."""
    ids, merges = vocabulary()
    backend = CLIPTokenizer(vocab=ids, merges=merges).backend_tokenizer
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, model_max_length=16, pad_token="<|endoftext|>", eos_token="<|endoftext|>"
    )
    end = ids["<|endoftext|>"]
    text = {"vocab_size": len(ids), "max_position_embeddings": 16, "projection_size": 32}
    text |= {"eos_token_id": end, "bos_token_id": end - 1, "pad_token_id": end}
    config = SiglipConfig(text_config=_TOWER | text, vision_config=_TOWER | {"image_size": _SIDE, "patch_size": 8})
    torch.manual_seed(seed)
    SiglipModel(config).save_pretrained(folder)
    SiglipImageProcessorPil(size={"height": _SIDE, "width": _SIDE}).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder

"""Checkpoints of a given shape without weights, for servers that make weights up (``--load-format dummy``)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal, get_args

from transformers import (
    AutoTokenizer,
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaProcessor,
)

from curation.caption.model.checkpoint import locate

Shape = Literal["tiny", "7b"]
SHAPES = get_args(Shape)


def dummy_checkpoint(folder: Path, shape: Shape) -> Path:
    """A LLaVA's configuration, tokenizer, processor and chat template; ``7b`` has the shape of LLaVA-1.5-7B, a
    CLIP-L tower of 336 pixels and a Llama of 32 layers. The words are those of the demo captioner.
    """
    tokenizer = AutoTokenizer.from_pretrained(locate("demo"))
    template = (Path(locate("demo")) / "chat_template.jinja").read_text()
    config = _config(shape, tokenizer.convert_tokens_to_ids("<image>"), tokenizer.bos_token_id, tokenizer.eos_token_id)
    config.save_pretrained(folder)
    side, patch = config.vision_config.image_size, config.vision_config.patch_size
    LlavaProcessor(
        image_processor=CLIPImageProcessorPil(size={"shortest_edge": side}, crop_size={"height": side, "width": side}),
        tokenizer=tokenizer,
        patch_size=patch,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=template,
    ).save_pretrained(folder)
    fields = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(fields | {"architectures": ["LlavaForConditionalGeneration"]}))
    return folder


def _config(shape: Shape, image_token: int, begin: int, end: int) -> LlavaConfig:
    tower, text = _TOWERS[shape], _TEXTS[shape]
    return LlavaConfig(
        vision_config=CLIPVisionConfig(**tower),
        text_config=LlamaConfig(**text, max_position_embeddings=4096, bos_token_id=begin, eos_token_id=end),
        image_token_index=image_token,
        image_seq_length=(tower["image_size"] // tower["patch_size"]) ** 2,
        vision_feature_select_strategy="default",
        dtype="bfloat16",
    )


_TOWERS = {
    "tiny": {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2}
    | {"image_size": 96, "patch_size": 16},
    "7b": {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16}
    | {"image_size": 336, "patch_size": 14},
}
_TEXTS = {
    "tiny": {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2}
    | {"vocab_size": 2048},
    "7b": {"hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32, "num_attention_heads": 32}
    | {"vocab_size": 32064},
}

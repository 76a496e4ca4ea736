"""The captioner's shape: a LLaVA of CLIP's vision tower and Llama's decoder, a few million weights each."""

from __future__ import annotations

from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

from curation.demo.training.corpus import GRID, PATCH, SIDE

CONTEXT = 8192
IMAGE = "<image>"
IMAGE_TOKENS = GRID * GRID


def tower_config() -> CLIPVisionConfig:
    """The vision tower: every patch of PATCH pixels becomes one image token."""
    return CLIPVisionConfig(
        hidden_size=192,
        intermediate_size=768,
        num_hidden_layers=8,
        num_attention_heads=3,
        image_size=SIDE,
        patch_size=PATCH,
        projection_dim=192,
    )


def config(vocabulary: int, image: int, begin: int, end: int, pad: int) -> LlavaConfig:
    """The whole model, by the numbers of its special tokens. Image tokens are the tower's last layer, without
    its class token."""
    return LlavaConfig(
        vision_config=tower_config(),
        text_config=LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=256,
            intermediate_size=768,
            num_hidden_layers=4,
            num_attention_heads=4,
            num_key_value_heads=4,
            max_position_embeddings=CONTEXT,
            tie_word_embeddings=True,
            bos_token_id=begin,
            eos_token_id=end,
            pad_token_id=pad,
        ),
        image_token_index=image,
        image_seq_length=IMAGE_TOKENS,
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
        tie_word_embeddings=True,
    )


def build(vocabulary: int, image: int, begin: int, end: int, pad: int) -> LlavaForConditionalGeneration:
    """The untrained model in float32, from torch's random state.

    Its attention is unfused: on a CPU that is twice as fast backwards, and no slower forwards at this size.
    """
    model = LlavaForConditionalGeneration(config(vocabulary, image, begin, end, pad))
    model.set_attn_implementation("eager")
    return model

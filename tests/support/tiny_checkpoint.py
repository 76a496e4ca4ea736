"""A very small vision-language checkpoint of a standard shape (LLaVA: CLIP tower, Llama), untrained.

It exists so that everything around a captioner can run for real and offline: processor, chat template,
batches, generation, a served model. What it says is word salad.
"""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    GenerationConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)
from transformers.utils.logging import disable_progress_bar

from curation.demo.training.saving import name_as_on_hub

IMAGE_SIDE = 96
PATCH = 16
CONTEXT = 8192
_PAD, _BEGIN, _END, _UNKNOWN, _IMAGE = _SPECIAL = ("<pad>", "<s>", "</s>", "<unk>", "<image>")
_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{{ message['role'] | upper }}: "
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] | selectattr('type', 'in', ['image', 'image_url']) %}<image>\n{% endfor %}"
    "{% for part in message['content'] | selectattr('type', 'equalto', 'text') %}{{ part['text'] }}{% endfor %}"
    "{% endif %}{{ '\n' }}{% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)
_THINGS = (
    *("ball", "box", "bird", "boat", "book", "bottle", "bowl", "car", "cat"),
    *("chair", "clock", "cup", "dog", "door", "fish", "flower", "hat", "horse"),
)
_COLOURS = ("red", "green", "blue", "yellow", "black", "white", "orange", "purple", "grey", "brown")
_PLACES = ("left of", "right of", "above", "below", "behind", "in front of", "beside", "on top of", "near")
_GROUNDS = ("a plain wall", "a wooden floor", "green grass", "a sandy beach", "a grey street", "dark water")


def make_tiny_checkpoint(folder: Path, seed: int = 0) -> None:
    """Writes model, tokenizer, processor and chat template into ``folder``: about 2 MB, loadable offline
    by vLLM, ``AutoProcessor`` and ``AutoModelForImageTextToText``. The same seed gives the same bytes.
    """
    disable_progress_bar()
    tokenizer = _tokenizer()
    processor = LlavaProcessor(
        image_processor=CLIPImageProcessorPil(
            size={"shortest_edge": IMAGE_SIDE}, crop_size={"height": IMAGE_SIDE, "width": IMAGE_SIDE}
        ),
        tokenizer=tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=_TEMPLATE,
    )
    config = _config(tokenizer)
    model = LlavaForConditionalGeneration(config)
    draw_weights(model, seed)
    with torch.no_grad():
        # Single bytes would make replies that are not even text; whole words are left to choose from.
        model.lm_head.weight[_spelling(tokenizer)] = 0.0
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    name_as_on_hub(folder)
    processor.save_pretrained(folder)


def draw_weights(model: torch.nn.Module, seed: int) -> None:
    """Draws all weights but those of norms and biases, without touching torch's own random state.

    The spread is six times the usual: as usually begun, a network hardly looks at its input.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            if "norm" not in name and not name.endswith("bias"):
                parameter.normal_(0.0, 0.12, generator=generator)


def _spelling(tokenizer: PreTrainedTokenizerFast) -> list[int]:
    """The ids of single bytes and control tokens, but for the full stop, the comma and the end."""
    kept = {".", ",", tokenizer.eos_token}
    return [i for t, i in tokenizer.get_vocab().items() if (len(t) == 1 or t in _SPECIAL) and t not in kept]


def _config(tokenizer: PreTrainedTokenizerFast) -> LlavaConfig:
    return LlavaConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=IMAGE_SIDE,
            patch_size=PATCH,
            projection_dim=64,
        ),
        text_config=LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=128,
            intermediate_size=256,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=4,
            max_position_embeddings=CONTEXT,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        ),
        image_token_index=tokenizer.convert_tokens_to_ids(_IMAGE),
        image_seq_length=(IMAGE_SIDE // PATCH) ** 2,
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
    )


def _tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE that spells every text; its merges come from the sentences below."""
    tokenizer = Tokenizer(models.BPE(unk_token=None))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=640,
        special_tokens=list(_SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_sentences(), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=_BEGIN,
        eos_token=_END,
        pad_token=_PAD,
        unk_token=_UNKNOWN,
        extra_special_tokens={"image_token": _IMAGE},
        padding_side="left",
        model_max_length=CONTEXT,
    )


def _sentences() -> list[str]:
    return [
        f"A {colour} {thing} stands {place} the {other}, in front of {ground}. There is one small {thing} and it is "
        f"{colour}; the {other} is larger and lies {place} it."
        for colour in _COLOURS
        for thing, other in zip(_THINGS, _THINGS[1:] + _THINGS[:1], strict=True)
        for place, ground in zip(_PLACES, (_GROUNDS * 2)[: len(_PLACES)], strict=True)
    ]

"""A two-tower checkpoint that knows the demo world, for measuring what the similarity stage catches.

Its image tower is the demo captioner's, held still, with two layers more that gather what it sees; its text tower
is small and reads whole words. Both are trained on scenes that no measurement looks at: a picture against the
captions of its neighbours and against captions of its own with one falsehood.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from tokenizers.processors import TemplateProcessing
from torch.nn import functional
from transformers import (
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPProcessor,
    LlavaForConditionalGeneration,
    PreTrainedTokenizerFast,
)

from curation.caption.model.checkpoint import locate
from curation.demo.false_captions import FALSE
from curation.demo.phrases import dense_caption, short_caption
from curation.demo.render import render
from curation.demo.truth import Scene, generator
from curation.demo.world import scene

SEED = 57  # of a world of its own
_TOKENS = 160  # a dense caption whole
_WIDTH, _LAYERS, _PROJECTED = 128, 2, 192
_MORE = 2
_BATCH = 48
_LIES = tuple(k for k in FALSE if k != "another picture's caption")


@dataclass(frozen=True)
class Size:
    """How long the training is: scenes that are drawn, and steps."""

    scenes: int = 2000
    steps: int = 500


def make_demo_clip(folder: Path, size: Size, threads: int = 2) -> Path:
    """Trains the checkpoint and writes it; returns the folder. The same size gives the same weights, nearly."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    try:
        tokenizer = _tokenizer()
        model = _model(tokenizer)
        images = _images()
        _train(model, _seen(model, images, size.scenes), _Texts(tokenizer, size.scenes), size.steps)
    finally:
        torch.set_num_threads(before)
    model.save_pretrained(folder)
    CLIPProcessor(image_processor=images, tokenizer=tokenizer).save_pretrained(folder)
    return folder


def _images() -> CLIPImageProcessorPil:
    side = _captioner().config.vision_config.image_size
    return CLIPImageProcessorPil(size={"height": side, "width": side}, do_center_crop=False)


def _captioner() -> LlavaForConditionalGeneration:
    return LlavaForConditionalGeneration.from_pretrained(locate("demo"), dtype=torch.float32)


def _model(tokenizer: PreTrainedTokenizerFast) -> CLIPModel:
    """Both towers, the image tower's lower layers those of the captioner."""
    captioner = _captioner()
    vision = captioner.config.vision_config.to_dict()
    told = captioner.model.vision_tower.state_dict()
    config = CLIPConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": _WIDTH,
            "intermediate_size": 4 * _WIDTH,
            "num_hidden_layers": _LAYERS,
            "num_attention_heads": 2,
            "max_position_embeddings": _TOKENS,
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
        },
        vision_config={**vision, "num_hidden_layers": vision["num_hidden_layers"] + _MORE},
        projection_dim=_PROJECTED,
    )
    model = CLIPModel(config)
    model.set_attn_implementation("eager")
    lower = {f"vision_model.{k.removeprefix('vision_model.')}": v for k, v in told.items()}
    missing = model.load_state_dict(lower, strict=False)
    if missing.unexpected_keys:
        raise ValueError(f"the captioner's tower has weights of another shape: {missing.unexpected_keys[:3]}")
    return model


def _lower(model: CLIPModel) -> int:
    return int(model.config.vision_config.num_hidden_layers) - _MORE


@torch.inference_mode()
def _seen(model: CLIPModel, images: CLIPImageProcessorPil, scenes: int) -> torch.Tensor:
    """What the captioner's own layers make of each scene, float16."""
    found = []
    tower = model.vision_model
    for start in range(0, scenes, 32):
        pictures = [Image.fromarray(render(scene(SEED, i))) for i in range(start, min(scenes, start + 32))]
        hidden = tower.pre_layrnorm(tower.embeddings(images(images=pictures, return_tensors="pt")["pixel_values"]))
        for layer in tower.encoder.layers[: _lower(model)]:
            hidden = _through(layer, hidden)
        found.append(hidden.half())
    return torch.cat(found)


def _through(layer: torch.nn.Module, hidden: torch.Tensor) -> torch.Tensor:
    out = layer(hidden, attention_mask=None)
    told: torch.Tensor = out[0] if isinstance(out, tuple) else out
    return told


class _Texts:
    """For each scene some true captions and some false ones, as tokens."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, scenes: int) -> None:
        self._tokenizer = tokenizer
        self.true = [[self._tokens(t) for t in _true(scene(SEED, i))] for i in range(scenes)]
        self.false = [[self._tokens(t) for t in _false(scene(SEED, i))] for i in range(scenes)]

    def _tokens(self, text: str) -> list[int]:
        found: list[int] = self._tokenizer(text, truncation=True, max_length=_TOKENS)["input_ids"]
        return found

    def draw(self, rows: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
        """Captions of these scenes, then as many false ones; padded at the right, (2n, longest)."""
        told = [self.true[i][rng.integers(len(self.true[i]))] for i in rows]
        told += [self.false[i][rng.integers(len(self.false[i]))] for i in rows]
        longest = max(len(t) for t in told)
        pad = self._tokenizer.pad_token_id
        return torch.tensor([t + [pad] * (longest - len(t)) for t in told])


def _true(shown: Scene) -> Iterator[str]:
    for turn in range(3):
        yield dense_caption(shown, generator(shown.index, 60, turn))
    yield short_caption(shown, generator(shown.index, 61))


def _false(shown: Scene) -> Iterator[str]:
    for turn, kind in enumerate(_LIES[(shown.index * 4 + n) % len(_LIES)] for n in range(4)):
        yield FALSE[kind](shown, generator(shown.index, 62, turn))


def _train(model: CLIPModel, seen: torch.Tensor, texts: _Texts, steps: int) -> None:
    """A picture against all captions of its batch, true and false; a true caption against all pictures."""
    kept = [*model.vision_model.encoder.layers[_lower(model) :], model.vision_model.post_layernorm]
    kept += [model.visual_projection, model.text_model, model.text_projection]
    learned = [p for part in kept for p in part.parameters()] + [model.logit_scale]
    optimizer = torch.optim.AdamW(learned, lr=1e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=steps, pct_start=0.1)
    rng = np.random.default_rng(0)
    own = torch.arange(_BATCH)
    model.train()
    for _ in range(steps):
        rows = rng.choice(len(seen), _BATCH, replace=False)
        pictures = _embed(model, seen[torch.from_numpy(rows)].float())
        words = functional.normalize(model.get_text_features(texts.draw(rows, rng)).pooler_output, dim=-1)
        logits = model.logit_scale.exp().clamp(max=100) * pictures @ words.T
        loss = functional.cross_entropy(logits, own) + functional.cross_entropy(logits[:, :_BATCH].T, own)
        pair = torch.stack([logits[own, own], logits[own, own + _BATCH]], dim=1)
        loss = loss + functional.cross_entropy(pair, torch.zeros_like(own))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learned, 1.0)
        optimizer.step()
        schedule.step()
    model.eval()


def _embed(model: CLIPModel, hidden: torch.Tensor) -> torch.Tensor:
    for layer in model.vision_model.encoder.layers[_lower(model) :]:
        hidden = _through(layer, hidden)
    pooled = model.vision_model.post_layernorm(hidden[:, 0])
    return functional.normalize(model.visual_projection(pooled), dim=-1)


def _tokenizer() -> PreTrainedTokenizerFast:
    # An end of number 2 would mean something else to CLIP's text tower: checkpoints of an older kind.
    words: dict[str, int] = {"<pad>": 0, "<s>": 1, "<unk>": 2, "</s>": 3}
    split = pre_tokenizers.Whitespace()
    for i in range(400):
        for part in ("train", "heldout"):
            shown = scene(SEED, i, part)  # type: ignore[arg-type]
            for text in (dense_caption(shown, generator(i, 1)), short_caption(shown, generator(i, 2))):
                for word, _ in split.pre_tokenize_str(text.lower()):
                    words.setdefault(word, len(words))
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = split
    tokenizer.post_processor = TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 3)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        model_max_length=_TOKENS,
    )

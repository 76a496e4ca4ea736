"""Writes the trained captioner as a checkpoint that transformers and vLLM load by their ordinary classes."""

from __future__ import annotations

import copy
import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig, LlavaForConditionalGeneration, PreTrainedTokenizerFast

from curation.demo.hub_layout import name_as_on_hub
from curation.demo.training.card import card
from curation.demo.training.tokens import make_processor

LIMIT_BYTES = 20_000_000
FIGURES, LOG = "figures.json", "training_log.jsonl"


def save_checkpoint(
    folder: Path, model: LlavaForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, log: list[dict[str, Any]]
) -> None:
    """Weights in bfloat16, tokenizer, processor, chat template, generation config and training log.

    A checkpoint that was there before is replaced. Raises ``ValueError`` for a model above ``LIMIT_BYTES``, and
    for a folder that holds something else.
    """
    check_target(folder)
    work = Path(tempfile.mkdtemp(prefix=".checkpoint-", dir=folder.parent if folder.parent.is_dir() else None))
    try:
        shipped = copy.deepcopy(model).to("cpu", torch.bfloat16)
        shipped.generation_config = GenerationConfig(
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
        shipped.save_pretrained(work)
        name_as_on_hub(work)
        make_processor(tokenizer).save_pretrained(work)
        (work / LOG).write_text("".join(json.dumps(r) + "\n" for r in log))
        size = sum(p.stat().st_size for p in work.iterdir())
        if size > LIMIT_BYTES:
            raise ValueError(f"the checkpoint has {size} bytes; at most {LIMIT_BYTES} were expected; shrink its shape")
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        for new in sorted(work.iterdir()):
            new.chmod(0o644)
            shutil.move(new, folder / new.name)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def check_target(folder: Path) -> None:
    """Raises ``ValueError`` where writing a checkpoint would delete files that are none of a checkpoint's."""
    found = sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []
    if found and "config.json" not in found:
        raise ValueError(f"{folder} holds {found[:3]} and no checkpoint; name an empty or a new folder")


def save_figures(folder: Path, figures: Mapping[str, float], log: list[dict[str, Any]]) -> None:
    """Writes what was measured beside the checkpoint, and the model card that tells it."""
    (folder / FIGURES).write_text(json.dumps(dict(figures), indent=1) + "\n")
    (folder / "README.md").write_text(card(figures, log))

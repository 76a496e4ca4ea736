"""Writes the trained captioner as a checkpoint that transformers and vLLM load by their ordinary classes."""

from __future__ import annotations

import copy
import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import GenerationConfig, LlavaForConditionalGeneration, PreTrainedTokenizerFast

from curation.demo.training.tokens import make_processor


@dataclass(frozen=True)
class Card:
    """What a model card says before its figures, and the targets: lower limits, and upper ones for ``at_most``."""

    head: str
    at_least: Mapping[str, float]
    at_most: Mapping[str, float]

    def met(self, name: str, value: float) -> bool | None:
        """Whether a figure reaches its target; None for one without."""
        if name in self.at_most:
            return value <= self.at_most[name]
        return value >= self.at_least[name] if name in self.at_least else None

    def target(self, name: str, value: float) -> str:
        met = self.met(name, value)
        if met is None:
            return ""
        sign, limit = ("≤", self.at_most[name]) if name in self.at_most else ("≥", self.at_least[name])
        return f"{sign} {limit}, {'met' if met else 'missed'}"


_FRONT = """---
license: apache-2.0
pipeline_tag: image-text-to-text
library_name: transformers
language: en
---
"""


def head(what: str, about: str, trained: str, measured: str) -> str:
    """A card up to the first row of its figures.

    ``what`` the model is and what it is like (``about``), how to train it again (a command and what follows it) and
    how the figures were ``measured``.
    """
    return (
        f"{_FRONT}\n# Demo {what} of Lapidary\n\n**Not for real photographs.** {about}\n"
        "Its training data is the demo world alone (`curation/demo`, Apache-2.0), rendered from seeds;\n"
        f"{trained} Licence: Apache-2.0.\n\n## Measured\n\n{measured}\n| figure | measured | target |\n|---|---|---|\n"
    )


_ABOUT = """\
This model has only ever seen the demo world of this project: rendered pictures of
36 kinds of drawn objects in 10 colours before 12 kinds of background. Shown anything else it will name things that
are not there. It exists so that the pipeline, its tests and `make demo` meet a captioner that can see and whose
errors can be counted.

It is a LLaVA (a CLIP vision tower of 192 x 192 pixels in patches of 16, a Llama decoder, a few million weights,
bfloat16) that answers four prompts of `curation/prompts`: `dense`, `short`, `entities` and `subjects`. Other prompts
get an answer too, but hardly a sensible one. The fixed paragraphs of these prompts are single tokens of its
tokenizer; after an edit of a prompt, train again.

It was taught to say what its own vision tower tells with a probability of nine tenths, and to leave the rest unsaid:
then a thing is an "object", a size, a colour or a place is not given, or "something is written on a board". So recall
is lower than it could be, and what is said is right more often.
"""
_MEASURED = """\
On held-out scenes (combinations of kind and colour, names, and phrasings of news captions and hostile alt texts that
no training scene shows), with the project's own prompts, alt texts as the demo web has them and greedy decoding, by
`python -m curation.demo.training.score`. What a caption claims is read by `curation/demo/claims.py`; colour, count,
size and place are shares of the objects rightly named.
"""
_TRAINED = "`python -m curation.demo.training.train` trains it again from nothing."


CAPTIONER = Card(
    head("captioner", _ABOUT, _TRAINED, _MEASURED),
    {
        "objects F1": 0.95,
        "colour": 0.95,
        "count": 0.90,
        "relations": 0.85,
        "entities F1": 0.95,
        "subject weights Spearman": 0.90,
    },
    {"captions with a false claim": 0.05},
)


def card(figures: Mapping[str, float], log: list[dict[str, Any]], of: Card = CAPTIONER) -> str:
    """The model card as Markdown, from the figures that were measured and the lessons' records."""
    rows = [f"| {name} | {value:.4g} | {of.target(name, value)} |" for name, value in figures.items()]
    missed = [n for n, v in figures.items() if of.met(n, v) is False]
    said = f"Below target: {', '.join(missed)}." if missed else "All targets are met."
    return of.head + "\n".join(rows) + f"\n\n{said}\n\n## Training\n\n{_lessons(log)}\n"


def _lessons(log: list[dict[str, Any]]) -> str:
    """One line a lesson: its last record."""
    last = {str(r["lesson"]): r for r in log}
    lines = [
        f"- lesson `{name}`: {r['step']} steps, {r['seconds'] / 60:.0f} minutes, last loss {r['loss']:.3g}"
        for name, r in last.items()
    ]
    return "\n".join([*lines, "", "Every evaluation of the training is in `training_log.jsonl`."])


LIMIT_BYTES = 20_000_000
FIGURES, LOG = "figures.json", "training_log.jsonl"


def save_checkpoint(
    folder: Path, model: LlavaForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, log: list[dict[str, Any]]
) -> None:
    """Weights in bfloat16, tokenizer, processor, chat template, generation config and training log.

    Replaces an earlier checkpoint. Raises ``ValueError`` for a model above ``LIMIT_BYTES``, and
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
    """Raises ``ValueError`` if writing a checkpoint would delete files that do not belong to one."""
    found = sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []
    if found and "config.json" not in found:
        raise ValueError(f"{folder} holds {found[:3]} and no checkpoint; name an empty or a new folder")


def save_figures(folder: Path, figures: Mapping[str, float], log: list[dict[str, Any]], of: Card = CAPTIONER) -> None:
    """Writes the figures beside the checkpoint, and the model card with them."""
    (folder / FIGURES).write_text(json.dumps(dict(figures), indent=1) + "\n")
    (folder / "README.md").write_text(card(figures, log, of))


def add_figures(folder: Path, figures: Mapping[str, float], of: Card = CAPTIONER) -> None:
    """Writes figures beside those that were measured before, in the place of those with the same names."""
    file = folder / FIGURES
    before: dict[str, float] = json.loads(file.read_text()) if file.is_file() else {}
    save_figures(folder, {**before, **figures}, read_log(folder), of)


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The records of a checkpoint's training; none of a folder without a log."""
    file = folder / LOG
    return [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []


WEIGHTS = "model.safetensors"
_TOWER = re.compile(r"^((?:model\.)?vision_tower\.)(?!vision_model\.)")


def name_as_on_hub(folder: Path) -> None:
    """Rewrites the folder's weights if any has a newer name; values do not change."""
    path = folder / WEIGHTS
    weights = load_file(path)
    named = {_TOWER.sub(r"\1vision_model.", name): weight for name, weight in weights.items()}
    if named.keys() != weights.keys():
        save_file(named, path, metadata={"format": "pt"})

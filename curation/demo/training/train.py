"""Trains the demo captioner from nothing: ``python -m curation.demo.training.train``.

It renders a corpus of scenes, teaches the vision tower what every patch shows, the language model to read,
then to speak of what the tower sees, and at last both together; measures the result on held-out scenes and
writes the checkpoint with its model card. Killed at any moment, the same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import LlavaForConditionalGeneration, PreTrainedTokenizerFast
from transformers.utils.logging import disable_progress_bar

from curation.demo.training import corpus
from curation.demo.training.batches import pick
from curation.demo.training.language import Speller
from curation.demo.training.lessons import Pictures, Reading, Seeing, Speaking, Together
from curation.demo.training.saving import check_target, save_checkpoint, save_figures
from curation.demo.training.shape import IMAGE, build
from curation.demo.training.teaching import Lesson, Pace, State, recall, teach
from curation.demo.training.tokens import make_tokenizer
from curation.demo.training.tower import Seer, begin

SHIPPED = Path(__file__).parents[1] / "checkpoint"
LESSONS = ("tower", "text", "speech", "joint")
# The share of ``minutes`` that each lesson gets.
_SHARES = {"tower": 0.4, "text": 0.05, "speech": 0.15, "joint": 0.4}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """What to train and for how long: ``steps`` for each lesson, or fewer if ``minutes`` run out."""

    work: Path
    rendered: Path
    scenes: int = 40_000
    heldout: int = 2_000
    chunk: int = corpus.CHUNK
    steps: tuple[int, int, int, int] = (6_000, 500, 1_500, 2_500)
    minutes: float | None = None
    batch: int = 64
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    seed: int = 101
    texts: int = 3000
    save_every: float = 120.0

    def pace(self, lesson: str) -> Pace:
        seconds = None if self.minutes is None else 60 * self.minutes * _SHARES[lesson]
        rate = {"tower": 2e-3, "text": 2e-3, "speech": 2e-3, "joint": 6e-4}[lesson]
        return Pace(self.steps[LESSONS.index(lesson)], seconds, rate, save_every=self.save_every)


@dataclass
class Trained:
    """The trained model, and the records of all lessons."""

    model: LlavaForConditionalGeneration
    tokenizer: PreTrainedTokenizerFast
    log: list[dict[str, Any]]


def train(plan: Plan, lessons: Sequence[str] = LESSONS) -> Trained:
    """Runs the named lessons in order, each from its saved state and with the saved states of the others."""
    _render(plan)
    pictures = Pictures(
        corpus.load(plan.rendered, "train", plan.scenes),
        corpus.load(plan.rendered, "heldout", plan.heldout),
        plan.seed,
        plan.device,
    )
    tokenizer = make_tokenizer(plan.texts)
    torch.manual_seed(plan.seed)
    seer = Seer()
    begin(seer.tower, pick(pictures.train, range(min(256, len(pictures.train[0])))).pixels)
    seer.to(plan.device)
    model = _model(tokenizer).to(plan.device)
    records: list[dict[str, Any]] = []
    for name, state in _lessons(plan, lessons, pictures, seer, model, Speller(tokenizer)):
        log.info("lesson %s: %d steps in %.0f s", name, state.step, state.spent)
        records += state.records
    return Trained(model, tokenizer, records)


def _lessons(
    plan: Plan,
    names: Sequence[str],
    pictures: Pictures,
    seer: Seer,
    model: LlavaForConditionalGeneration,
    speller: Speller,
) -> Iterator[tuple[str, State]]:
    """Runs the named lessons and loads the others, each on the result of those before it."""
    half = max(1, plan.batch // 2)
    few = max(1, half // 2)
    eye = model.model.vision_tower

    def course() -> Iterator[Lesson]:
        yield Seeing(seer, pictures, plan.batch)
        yield Reading(model, speller, pictures, half)
        eye.load_state_dict(seer.tower.state_dict())
        eye.requires_grad_(False)
        yield Speaking(model, speller, pictures, half, few)
        eye.requires_grad_(True)
        seer.tower = eye
        yield Together(model, seer, speller, pictures, half, few)

    for lesson in course():
        if lesson.name in names:
            yield lesson.name, teach(lesson, plan.pace(lesson.name), plan.work, plan.device)
        else:
            yield lesson.name, recall(lesson, plan.work, plan.device)


def _render(plan: Plan) -> None:
    workers = os.cpu_count() or 1
    corpus.build(plan.rendered, plan.heldout, plan.seed, "heldout", workers, plan.chunk)
    corpus.build(plan.rendered, plan.scenes, plan.seed, "train", workers, plan.chunk)


def _model(tokenizer: PreTrainedTokenizerFast) -> LlavaForConditionalGeneration:
    ids: Any = tokenizer
    return build(len(tokenizer), ids.convert_tokens_to_ids(IMAGE), ids.bos_token_id, ids.eos_token_id, ids.pad_token_id)


def _device(name: str) -> torch.device:
    return torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m curation.demo.training.train", description=__doc__)
    parser.add_argument("--out", type=Path, default=SHIPPED, help="folder for the checkpoint")
    parser.add_argument("--work", type=Path, default=Path("runs/captioner"), help="folder for corpus and states")
    parser.add_argument("--corpus", type=Path, help="folder for rendered scenes (default: a folder in --work)")
    parser.add_argument("--minutes", type=float, help="stop after this many minutes of computing for all lessons")
    parser.add_argument("--steps", type=int, nargs=4, default=Plan.steps, metavar=tuple(n.upper() for n in LESSONS))
    parser.add_argument("--scenes", type=int, default=Plan.scenes, help="training scenes to render")
    parser.add_argument("--batch", type=int, default=Plan.batch, help="scenes per step of the tower's lesson")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 for all cores")
    parser.add_argument(
        "--lessons",
        nargs="*",
        default=LESSONS,
        metavar="LESSON",
        help="run only these lessons; none to export the saved state",
    )
    parser.add_argument("--score", type=int, default=1000, help="held-out scenes to measure on; 0 for none")
    parser.add_argument("--seed", type=int, default=Plan.seed)
    options = parser.parse_args(arguments)
    if unknown := sorted(set(options.lessons) - set(LESSONS)):
        parser.error(f"--lessons {' '.join(unknown)}: choose among {', '.join(LESSONS)}")
    try:
        check_target(options.out)
    except ValueError as error:
        parser.error(f"--out: {error}")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    disable_progress_bar()
    torch.set_num_threads(options.threads or os.cpu_count() or 1)
    plan = Plan(
        options.work,
        options.corpus or options.work / "corpus",
        scenes=options.scenes,
        steps=tuple(options.steps),
        minutes=options.minutes,
        batch=options.batch,
        device=_device(options.device),
        seed=options.seed,
    )
    done = train(plan, options.lessons)
    save_checkpoint(options.out, done.model, done.tokenizer, done.log)
    if options.score:
        from curation.demo.training.score import measure

        save_figures(options.out, measure(str(options.out), options.score, options.device), done.log)
    log.info("the checkpoint is in %s", options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Trains the demo verifier: ``python -m curation.demo.training.verifier``.

It begins with the captioner's tower, which stays as it is, and the first layers of its decoder. Each picture is asked
about in pairs of statements that differ in one thing. The answer is learned at the end of the request, and, from the
first word in which the two of a pair differ, at every word: so each step says which word was the wrong one. A second
course goes on with more wordings, with more true statements than false ones, and without naming combinations of kind
and colour that no training scene shows as false. At the end the probabilities are calibrated.

The shipped weights are those after a first course of 2,420 steps alone, and not what this command gives to the byte:
it named such combinations as false, its wordings and the share of relations changed on the way, and three phrasings of
held-out relations had slipped in. What the other courses made of them (``--begin``, 8,000 scenes) called 0.019 of true
statements false instead of 0.184, but caught 0.82 of swapped colours instead of 0.99, and let four times as many false
captions of a bad captioner through; so it is not shipped.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, LlavaForConditionalGeneration, PreTrainedTokenizerFast
from transformers.utils.logging import disable_progress_bar

from curation.caption.model.checkpoint import locate
from curation.demo.training import corpus
from curation.demo.training.calibrating import answered, calibrate, fitted_on
from curation.demo.training.packed import Asker
from curation.demo.training.saving import check_target, read_log, save_checkpoint, save_figures
from curation.demo.training.teaching import Pace, teach
from curation.demo.training.tokens import add_verifying
from curation.demo.training.verify_lesson import Course, Verifying, look

SHIPPED = Path(__file__).parents[1] / "verifier"
LAYERS = 3
# After the first course, true statements about a thing in the one colour in which no training scene shows its kind
# were refused: 0.18 of them, of the others 0.01. These parts refused them; nearer to the captioner, which tells the
# colours of all things, they do so less. More training brings it back, and the mean of before and after takes it away
# again. This was found out on held-out scenes of which no figure is given.
_REFUSING = {
    "language_model.layers.0.self_attn.": 0.4,
    "language_model.layers.1.mlp.": 0.4,
    "language_model.layers.2.self_attn.": 0.4,
}
COURSES = (
    Course("verify", steps=2420, rate=1.5e-3, batch=15, pairs=12),
    Course(
        "wordings", steps=72, rate=8e-4, batch=12, pairs=7, truths=8,
        back={**_REFUSING, "language_model.layers.1.mlp.": 1.0}, kept=0.5, anchor=_REFUSING,
    ),
    Course("once more", steps=228, rate=5e-4, batch=7, pairs=7, truths=8, warmup=30, kept=0.5),
)  # fmt: skip

log = logging.getLogger(__name__)


def begin(folder: Path, layers: int = LAYERS) -> tuple[LlavaForConditionalGeneration, PreTrainedTokenizerFast]:
    """The captioner with fewer decoder layers, and its tokenizer with the words of the verify prompt; or a verifier as
    it is."""
    model: Any = LlavaForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    model.set_attn_implementation("eager")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    add_verifying(tokenizer)
    decoder = model.model.language_model
    decoder.layers = decoder.layers[:layers]
    for config in (model.config.text_config, decoder.config):
        config.num_hidden_layers = layers
        config.layer_types = None
    torch.manual_seed(1)
    model.resize_token_embeddings(len(tokenizer), mean_resizing=True)
    model.model.vision_tower.requires_grad_(False)
    return model, tokenizer


@torch.no_grad()
def move(
    model: LlavaForConditionalGeneration, other: LlavaForConditionalGeneration, shares: Mapping[str, float]
) -> None:
    """Moves the weights whose names begin so by these shares of the way to those of another model. The tower stays."""
    there = dict(other.model.named_parameters())
    for name, weight in model.model.named_parameters():
        share = next((s for part, s in shares.items() if name.startswith(part)), 0.0)
        if share and not name.startswith("vision_tower."):
            weight.lerp_(there[name], share)


def run(course: Course, lesson: Verifying, pace: Pace, work: Path) -> list[dict[str, Any]]:
    """Teaches the lesson's model a course. Returns its records."""
    captioner = begin(Path(locate("demo")))[0]
    anchor = copy.deepcopy(lesson.model)
    move(anchor, captioner, course.anchor)
    move(lesson.model, captioner, course.back)
    records = teach(lesson, pace, work, torch.device("cpu")).records
    move(lesson.model, anchor, {"": 1 - course.kept})
    return records


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m curation.demo.training.verifier", description=__doc__)
    parser.add_argument(
        "--begin",
        type=Path,
        default=locate("demo"),
        help="the checkpoint to begin with, the captioner's or a verifier's",
    )
    parser.add_argument(
        "--courses", nargs="*", default=[c.name for c in COURSES], choices=[c.name for c in COURSES], metavar="COURSE"
    )
    parser.add_argument("--out", type=Path, default=SHIPPED, help="folder for the checkpoint")
    parser.add_argument("--work", type=Path, default=Path("runs/verifier"), help="folder for corpus and state")
    parser.add_argument("--corpus", type=Path, help="folder for rendered scenes (default: a folder in --work)")
    parser.add_argument("--steps", type=int, help="steps of each course (default: its own)")
    parser.add_argument("--minutes", type=float, help="stop each course after this many minutes of computing")
    parser.add_argument("--scenes", type=int, default=12_000, help="training scenes to render")
    parser.add_argument("--heldout", type=int, default=1_500, help="held-out scenes to render")
    parser.add_argument("--chunk", type=int, default=500, help="scenes of one file of the corpus")
    parser.add_argument("--batch", type=int, help="pictures a step (default: each course's own)")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 for all cores")
    parser.add_argument("--score", type=int, default=1000, help="held-out scenes to measure on; 0 for none")
    parser.add_argument("--seed", type=int, default=202, help="of the scenes; another one than the captioner's")
    options = parser.parse_args(arguments)
    try:
        check_target(options.out)
    except ValueError as error:
        parser.error(f"--out: {error}")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    disable_progress_bar()
    torch.set_num_threads(options.threads or os.cpu_count() or 1)
    rendered = options.corpus or options.work / "corpus"
    workers = options.threads or os.cpu_count() or 1
    corpus.build(rendered, options.heldout, options.seed, "heldout", workers, options.chunk)
    corpus.build(rendered, options.scenes, options.seed, "train", workers, options.chunk)
    model, tokenizer = begin(options.begin)
    asker = Asker(tokenizer, model.config.image_token_index)
    train, heldout = (
        look(model, rendered, split, count)
        for split, count in (("train", options.scenes), ("heldout", options.heldout))
    )
    records = [r for r in read_log(options.begin) if r["lesson"] in {c.name for c in COURSES}]
    for course in (c for c in COURSES if c.name in options.courses):
        seconds = None if options.minutes is None else 60 * options.minutes
        if options.batch:
            course = dataclasses.replace(course, batch=options.batch)
        lesson = Verifying(model, asker, train, heldout, options.seed, course)
        pace = Pace(options.steps or course.steps, seconds, course.rate, course.warmup, evaluate_every=100)
        records += run(course, lesson, pace, options.work)
    model.eval()
    slope, shift = calibrate(model, asker, *answered(model, asker, heldout, fitted_on(heldout)))
    log.info("calibrated: %.3f times the lead, %+.3f", slope, shift)
    save_checkpoint(options.out, model, tokenizer, records)
    if options.score:
        from curation.demo.training.verifying import VERIFIER, measure

        save_figures(options.out, measure(options.out, options.score), records, VERIFIER)
    log.info("the checkpoint is in %s", options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())

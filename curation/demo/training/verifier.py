"""Trains the demo verifier: ``python -m curation.demo.training.verifier``.

It begins with the captioner's tower and the first layers of its decoder. A verifier that sees with its captioner's eyes
believes what they misread, so its tower goes on learning with its answers, and half of its pictures are those about
which the tower is not sure: what it might take a thing for is asked beside what is true. Each picture is asked about in
pairs of statements that differ in one thing, and in true statements alone. The answer is learned at the end of the
request, and, from the first word in which the two of a pair differ, at every word: so each step says which word was the
wrong one. No statement, true or false, names a combination of kind and colour that is kept for held-out scenes: a
verifier that has seen such a combination in false statements alone refuses it where it is true. At the end the
probabilities are calibrated.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, LlavaForConditionalGeneration, PreTrainedTokenizerFast
from transformers.utils.logging import disable_progress_bar

from curation.caption.model.checkpoint import locate
from curation.demo.training import corpus
from curation.demo.training.calibrating import answered, calibrate, fitted_on
from curation.demo.training.doubts import doubtful
from curation.demo.training.lessons import Pictures, Seeing
from curation.demo.training.packed import Asker
from curation.demo.training.saving import check_target, read_log, save_checkpoint, save_figures
from curation.demo.training.teaching import Pace, teach
from curation.demo.training.tokens import add_verifying
from curation.demo.training.tower import Seer
from curation.demo.training.verify_lesson import Course, Verifying

SHIPPED = Path(__file__).parents[1] / "verifier"
LAYERS = 3
_SIGHT = "sight"
SIGHT = Pace(120, rate=1e-2, warmup=10, evaluate_every=40)  # the tower's classes, anew
COURSE = Course("verify", steps=1800, rate=6e-4, batch=24, pairs=4, truths=2, relit=6)

log = logging.getLogger(__name__)


def begin(folder: Path, layers: int = LAYERS) -> tuple[LlavaForConditionalGeneration, PreTrainedTokenizerFast]:
    """The captioner with fewer decoder layers, and its tokenizer with the words of the verify prompt; or a verifier as
    it is."""
    model: Any = LlavaForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    add_verifying(tokenizer)
    decoder = model.model.language_model
    decoder.layers = decoder.layers[:layers]
    for config in (model.config.text_config, decoder.config):
        config.num_hidden_layers = layers
        config.layer_types = None
    torch.manual_seed(1)
    model.resize_token_embeddings(len(tokenizer), mean_resizing=True)
    return model, tokenizer


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m curation.demo.training.verifier", description=__doc__)
    parser.add_argument(
        "--begin",
        type=Path,
        default=locate("demo"),
        help="the checkpoint to begin with, the captioner's or a verifier's",
    )
    parser.add_argument("--out", type=Path, default=SHIPPED, help="folder for the checkpoint")
    parser.add_argument("--work", type=Path, default=Path("runs/verifier"), help="folder for corpus and state")
    parser.add_argument("--corpus", type=Path, help="folder for rendered scenes (default: a folder in --work)")
    parser.add_argument(
        "--sight", type=int, default=SIGHT.steps, help="steps that teach the tower's classes (default %(default)s)"
    )
    parser.add_argument("--steps", type=int, default=COURSE.steps, help="steps (default %(default)s)")
    parser.add_argument("--minutes", type=float, help="end the answers' lesson after this many minutes")
    parser.add_argument("--scenes", type=int, default=20_000, help="training scenes to render")
    parser.add_argument("--heldout", type=int, default=1_500, help="held-out scenes to render")
    parser.add_argument("--chunk", type=int, default=500, help="scenes of one file of the corpus")
    parser.add_argument("--batch", type=int, default=COURSE.batch, help="pictures a step (default %(default)s)")
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
    pictures = Pictures(
        corpus.load(rendered, "train", options.scenes),
        corpus.load(rendered, "heldout", options.heldout),
        options.seed,
        torch.device("cpu"),
    )
    model, tokenizer = begin(options.begin)
    asker, seer = Asker(tokenizer, model.config), Seer(model.model.vision_tower)
    seer.tower.requires_grad_(False)
    records = [r for r in read_log(options.begin) if r["lesson"] in (_SIGHT, COURSE.name)]
    sight = Seeing(seer, pictures, 4 * options.batch, _SIGHT)
    records += teach(sight, dataclasses.replace(SIGHT, steps=options.sight), options.work, pictures.device).records
    doubts = doubtful(seer, pictures.train)
    log.info("%d of %d scenes are doubtful", len(doubts), options.scenes)
    seer.tower.requires_grad_(True)
    lesson = Verifying(model, seer, asker, pictures, doubts, dataclasses.replace(COURSE, batch=options.batch))
    seconds = None if options.minutes is None else 60 * options.minutes
    pace = Pace(options.steps, seconds, COURSE.rate, evaluate_every=100)
    records += teach(lesson, pace, options.work, pictures.device).records
    model.eval()
    slope, shift = calibrate(model, asker, *answered(model, asker, pictures.heldout, fitted_on(pictures.heldout)))
    log.info("calibrated: %.3f times the lead, %+.3f", slope, shift)
    save_checkpoint(options.out, model, tokenizer, records)
    if options.score:
        from curation.demo.training.verifying import VERIFIER, measure

        save_figures(options.out, measure(options.out, options.score), records, VERIFIER)
    log.info("the checkpoint is in %s", options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())

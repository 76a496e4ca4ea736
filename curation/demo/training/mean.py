"""The mean of verifiers: ``python -m curation.demo.training.mean FOLDER FOLDER --out FOLDER``.

Checkpoints of which one was begun with the other err on different statements, and the mean of their weights errs on
fewer than either (Wortsman and others 2022, "Model soups"). Its probabilities are calibrated anew.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from curation.demo.training import corpus
from curation.demo.training.calibrating import answered, calibrate, fitted_on
from curation.demo.training.packed import Asker
from curation.demo.training.saving import check_target, read_log, save_checkpoint
from curation.demo.training.verifier import begin

log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code; 2 for checkpoints that have not the same weights by name and shape."""
    parser = argparse.ArgumentParser(prog="python -m curation.demo.training.mean", description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+", help="verifiers; the last one's training log is kept")
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint")
    parser.add_argument("--corpus", type=Path, required=True, help="folder for rendered scenes")
    parser.add_argument("--heldout", type=int, default=1_500, help="held-out scenes to calibrate on")
    parser.add_argument("--chunk", type=int, default=500, help="scenes of one file of the corpus")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 for all cores")
    parser.add_argument("--seed", type=int, default=202, help="of the scenes")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    threads = options.threads or os.cpu_count() or 1
    torch.set_num_threads(threads)
    opened = [begin(folder) for folder in options.folders]
    model, tokenizer = opened[-1]
    try:
        check_target(options.out)
        average([m for m, _ in opened], model)
    except ValueError as error:
        parser.error(str(error))
    corpus.build(options.corpus, options.heldout, options.seed, "heldout", threads, options.chunk)
    heldout = corpus.load(options.corpus, "heldout", options.heldout)
    asker = Asker(tokenizer, model.config)
    model.eval()
    slope, shift = calibrate(model, asker, *answered(model, asker, heldout, fitted_on(heldout)))
    log.info("calibrated: %.3f times the lead, %+.3f", slope, shift)
    save_checkpoint(options.out, model, tokenizer, read_log(options.folders[-1]))
    return 0


@torch.no_grad()
def average(models: Sequence[Any], target: Any) -> None:
    """Gives ``target``, which may be one of them, the mean of the models' weights. Raises ``ValueError``."""
    states = [model.state_dict() for model in models]
    shapes = [{name: tuple(value.shape) for name, value in state.items()} for state in states]
    if any(shape != shapes[0] for shape in shapes):
        raise ValueError("the checkpoints differ in the names or shapes of their weights; name verifiers of one shape")
    means = {name: torch.stack([state[name].float() for state in states]).mean(dim=0) for name in states[0]}
    target.load_state_dict({name: mean.to(states[0][name].dtype) for name, mean in means.items()})


if __name__ == "__main__":
    sys.exit(main())

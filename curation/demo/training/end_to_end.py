"""Measures what verification makes of a captioner's captions: ``python -m curation.demo.training.end_to_end``.

The demo captioner describes held-out scenes; the verifier is asked about each statement, and false ones are cut out as
the policy ``drop`` does. At a high temperature the same captioner is a bad one, on purpose.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from curation.caption.model.chat import ChatRequest, Sampling
from curation.caption.model.checkpoint import identify, locate
from curation.caption.model.transformers import TransformersModel
from curation.demo.alt_text import web_alt_text
from curation.demo.false_captions import SEED
from curation.demo.render import jpeg
from curation.demo.training.saving import add_figures
from curation.demo.training.tasks import prompt
from curation.demo.training.verifying import AFTER, BAD_AFTER, LOST, STRICT, STRICTLY, VERIFIER, dropped, open_verifier
from curation.demo.truth import Scene, generator
from curation.demo.world import scene

_BAD = 1.5  # the temperature of a captioner that is wrong more often than not
_TOKENS = 200


def captions(scenes: Sequence[Scene], temperature: float) -> list[str]:
    """Dense captions of the demo captioner, by the project's prompt, with alt texts as the demo web has them."""
    asked = prompt("dense")
    sampling = Sampling(max_tokens=_TOKENS, temperature=temperature)
    requests = [
        ChatRequest(
            str(at),
            asked.render(web_alt_text(s, generator(SEED, s.index, 3)).text, {}),
            asked.system,
            jpeg(s),
            sampling=sampling,
        )
        for at, s in enumerate(scenes)
    ]
    model = TransformersModel("demo", identify("demo"), threads=torch.get_num_threads())
    try:
        replies = {r.key: r.text or "" for r in model.complete(requests)}
    finally:
        model.close()
    return [replies[r.key] for r in requests]


def measure(folder: Path, count: int) -> dict[str, float]:
    """Figures of a good and of a bad captioner, before and after verification, on ``count`` held-out scenes."""
    shown = [scene(SEED, i, "heldout") for i in range(count)]
    verifier = open_verifier(folder)
    said = [captions(shown, temperature) for temperature in (0.0, _BAD)]
    good, bad = (dropped(shown, s, verifier) for s in said)
    strict_good, strict_bad = (dropped(shown, s, verifier, STRICT) for s in said)
    return {
        "end to end: captions": count,
        "end to end: captions with a false claim": good["captions with a false claim"],
        AFTER: good["after verification"],
        "end to end: facts stated": good["facts stated"],
        LOST: good["facts stated"] - good["facts stated after verification"],
        "end to end: statements dropped": good["statements dropped"],
        "bad captioner: captions with a false claim": bad["captions with a false claim"],
        BAD_AFTER: bad["after verification"],
        AFTER + STRICTLY: strict_good["after verification"],
        LOST + STRICTLY: strict_good["facts stated"] - strict_good["facts stated after verification"],
        BAD_AFTER + STRICTLY: strict_bad["after verification"],
    }


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m curation.demo.training.end_to_end", description=__doc__)
    parser.add_argument("--model", default="demo-verifier", help="a verifier's checkpoint folder, or demo-verifier")
    parser.add_argument("--scenes", type=int, default=300, help="held-out scenes to measure on")
    parser.add_argument("--write", action="store_true", help="add the figures to the folder's model card")
    options = parser.parse_args(arguments)
    folder = Path(locate(options.model))
    found = measure(folder, options.scenes)
    for name, value in found.items():
        sys.stdout.write(f"{name:60} {value:.4g}\n")
    if options.write:
        add_figures(folder, found, VERIFIER)
    return 0


if __name__ == "__main__":
    sys.exit(main())

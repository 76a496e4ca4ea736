"""Measures a verifier on held-out scenes: planted faults caught, true statements called false, calibration.

    python -m curation.demo.training.verifying --model demo-verifier --scenes 1000

Scenes, phrasings and combinations of kind and colour are those that no training shows. Every scene has a true caption,
and one caption with each planted fault; their statements are asked as the verify stage asks them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoTokenizer, LlavaForConditionalGeneration

from curation.caption.model.checkpoint import locate
from curation.caption.verify.statements import split, with_leaning, without
from curation.demo.false_captions import FALSE, SEED, false_caption
from curation.demo.judge import judge
from curation.demo.phrases import dense_caption, short_caption
from curation.demo.render import jpeg
from curation.demo.training import corpus
from curation.demo.training.batches import normalise
from curation.demo.training.packed import Asker, leads
from curation.demo.training.saving import Card, add_figures, head
from curation.demo.training.teaching import low_precision
from curation.demo.training.tower import features
from curation.demo.truth import Scene, generator
from curation.demo.world import scene

# Gives the probability of yes for statements about each scene.
Verifier = Callable[[Sequence[Scene], Sequence[Sequence[str]]], list[list[float]]]
_BINS = 10


_TOGETHER = 16  # pictures
_ABOUT = """\
It answers one prompt of `curation/caption/prompts`, `verify`, with yes or no: whether a
statement is true of a picture of the demo world. Shown anything else, its answers mean nothing. It exists so that
verification, its tests and the demo meet a model that can tell, and whose errors can be counted.

Its vision tower and its decoder of three layers began with the captioner's. The decoder was taught on pairs of
statements that differ in one thing; then both were, half of the time on pictures that the tower was not sure of. Its
weights are the mean of those before and after the last such course.
"""
_TRAINED = "`python -m curation.demo.training.verifier` and `.mean` train it again."
_MEASURED = """\
On held-out scenes (combinations of kind and colour, and phrasings, that no training scene shows), by
`python -m curation.demo.training.verifying`: for each scene the statements of two true captions and of one with each
planted fault, at a threshold of 0.5. "Caught" is the share of the false statements of captions with that fault.
"""
_OFTEN, _LESS_OFTEN = 0.95, 0.90
AFTER = "end to end: after verification"
LOST = "end to end: facts stated, the loss"
BAD_AFTER = "bad captioner: after verification"
STRICT = 0.98
"""A threshold that lets less of what is false through, and refuses more of what is true."""
STRICTLY = f", at a threshold of {STRICT:g}"
VERIFIER = Card(
    head("verifier", _ABOUT, _TRAINED, _MEASURED),
    {
        "caught: swapped colours": _OFTEN,
        "caught: wrong count": _OFTEN,
        "caught: wrong size": _LESS_OFTEN,
        "caught: invented object": _OFTEN,
        "caught: wrong object": _OFTEN,
        "caught: wrong place": _LESS_OFTEN,
        "caught: wrong relation": _LESS_OFTEN,
        "caught: wrong background": _OFTEN,
        "caught: invented written word": _OFTEN,
        "caught: another picture's caption": _OFTEN,
    },
    {
        "true statements called false": 0.02,
        "expected calibration error": 0.03,
        AFTER + STRICTLY: 0.01,
        LOST + STRICTLY: 0.03,
        BAD_AFTER + STRICTLY: 0.05,
    },
)


@dataclass(frozen=True)
class Asked:
    """A statement with its truth: ``kind`` is the caption's fault, or "" for a true caption."""

    scene: int
    kind: str
    text: str
    true: bool


def asked_of(scenes: Sequence[Scene]) -> list[Asked]:
    """All statements of two true captions and of one with each planted fault."""
    found: list[Asked] = []
    for at, shown in enumerate(scenes):
        true = dense_caption(shown, generator(shown.index, 23)), short_caption(shown, generator(shown.index, 24))
        captions = [("", c) for c in true] + [(kind, false_caption(kind, shown)) for kind in FALSE]
        statements = [(kind, s.asked) for kind, text in captions for s in split(text)]
        found += [Asked(at, kind, text, not judge(shown, text).false) for kind, text in statements]
    return found


def figures(scenes: Sequence[Scene], verifier: Verifier, threshold: float = 0.5) -> dict[str, float]:
    """Shares of the false statements of each kind of fault that are caught, of the true ones that are called false,
    and the expected calibration error over all of them."""
    asked = asked_of(scenes)
    rows: list[list[str]] = [[] for _ in scenes]
    for one in asked:
        if one.text not in rows[one.scene]:
            rows[one.scene].append(one.text)
    said = [dict(zip(row, p, strict=True)) for row, p in zip(rows, verifier(scenes, rows), strict=True)]
    chances = np.array([said[a.scene][a.text] for a in asked])
    true = np.array([a.true for a in asked])
    kinds = np.array([a.kind for a in asked])
    found: dict[str, float] = {"held-out scenes": len(scenes), "statements": len(asked)}
    for kind in FALSE:
        at = (kinds == kind) & ~true
        found[f"caught: {kind}"] = float((chances[at] < threshold).mean())
    own = true & (kinds == "")
    found["true statements called false"] = float((chances[own] < threshold).mean())
    found["true statements of false captions called false"] = float((chances[true & (kinds != "")] < threshold).mean())
    found["expected calibration error"] = calibration_error(chances, true)
    found["expected calibration error, half false"] = calibration_error(*_even(chances, true))
    found["true rated above false"] = rated_above(chances, true)
    return found


Numbers = NDArray[np.float64]
Marks = NDArray[np.bool_]


def _even(chances: Numbers, true: Marks) -> tuple[Numbers, Marks]:
    """As many true statements as false ones."""
    false = np.flatnonzero(~true)
    kept = generator(1).permutation(np.flatnonzero(true))[: len(false)]
    at = np.concatenate([false, kept])
    return chances[at], true[at]


def rated_above(chances: Numbers, true: Marks) -> float:
    """The chance that a true statement has a higher probability than a false one, whatever the threshold; equal ones
    count half."""
    false = np.sort(chances[~true])
    below, not_above = (np.searchsorted(false, chances[true], side) for side in ("left", "right"))
    return float((below + not_above).mean() / (2 * len(false)))


def calibration_error(chances: Numbers, true: Marks) -> float:
    """Expected calibration error: the gap between probability and share of true ones, over ten bins of equal width."""
    bins = np.minimum((chances * _BINS).astype(int), _BINS - 1)
    gaps = [
        abs(chances[bins == b].mean() - true[bins == b].mean()) * (bins == b).mean()
        for b in range(_BINS)
        if (bins == b).any()
    ]
    return float(sum(gaps))


def dropped(
    scenes: Sequence[Scene], captions: Sequence[str], verifier: Verifier, threshold: float = 0.5
) -> dict[str, float]:
    """What verification makes of a captioner's captions under the policy ``drop``."""
    parts = [split(c) for c in captions]
    said = verifier(scenes, [[s.asked for s in p] for p in parts])
    kept = [
        without(c, p, with_leaning(p, {s.index for s, x in zip(p, row, strict=True) if x < threshold}))
        for c, p, row in zip(captions, parts, said, strict=True)
    ]
    before = [judge(s, c) for s, c in zip(scenes, captions, strict=True)]
    after = [judge(s, c) for s, c in zip(scenes, kept, strict=True)]
    return {
        "captions with a false claim": float(np.mean([bool(j.false) for j in before])),
        "after verification": float(np.mean([bool(j.false) for j in after])),
        "facts stated": float(np.mean([j.recall for j in before])),
        "facts stated after verification": float(np.mean([j.recall for j in after])),
        "statements dropped": float(np.mean([x < threshold for row in said for x in row])),
    }


def open_verifier(folder: Path) -> Verifier:
    """The verifier of a checkpoint, by its own pass over all statements of a picture."""
    model: Any = LlavaForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    model.set_attn_implementation("eager")
    model.eval()
    asker = Asker(AutoTokenizer.from_pretrained(folder), model.config)

    @torch.no_grad()
    def verify(scenes: Sequence[Scene], rows: Sequence[Sequence[str]]) -> list[list[float]]:
        found: list[list[float]] = []
        for at in range(0, len(scenes), _TOGETHER):
            some = rows[at : at + _TOGETHER]
            pictures = np.stack([corpus.pixels(jpeg(s)) for s in scenes[at : at + _TOGETHER]])
            most = max(len(r) for r in some)
            with low_precision(torch.device("cpu")):
                seen = features(model.model.vision_tower, normalise(pictures)).float()
                lead = leads(model, asker, asker.pack([[*r, *["."] * (most - len(r))] for r in some]), seen)
            found += [p[: len(r)] for p, r in zip(torch.sigmoid(lead).tolist(), some, strict=True)]
        return found

    return verify


def measure(folder: Path, count: int = 1000) -> dict[str, float]:
    """All figures of a checkpoint on ``count`` held-out scenes."""
    return figures([scene(SEED, i, "heldout") for i in range(count)], open_verifier(folder))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m curation.demo.training.verifying", description=__doc__)
    parser.add_argument("--model", default="demo-verifier", help="a checkpoint folder, or demo-verifier")
    parser.add_argument("--scenes", type=int, default=1000, help="held-out scenes to measure on")
    parser.add_argument("--write", action="store_true", help="write the figures into the folder's model card")
    options = parser.parse_args(arguments)
    folder = Path(locate(options.model))
    found = measure(folder, options.scenes)
    for name, value in found.items():
        sys.stdout.write(f"{name:50} {value:.4g}\n")
    if options.write:
        add_figures(folder, found, VERIFIER)
    return 0


if __name__ == "__main__":
    sys.exit(main())

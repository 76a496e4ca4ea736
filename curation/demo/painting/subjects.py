"""Subject weights at work: the same painters paint news captions with and without them.

python -m curation.demo.painting.subjects --work runs/painting

A news caption names people, places and dates beside the thing that it is about. Subject weights scale the states of a
caption's tokens, as ``curation.conditioning`` does for any text encoder; strength 0 leaves them as they are. It takes
the painters that ``compare captions`` has kept, which have learned from captions without names.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count, islice
from pathlib import Path

import torch

from curation.demo.news import news_caption
from curation.demo.painting.arms import COMPARISONS
from curation.demo.painting.corner import corner_scene
from curation.demo.painting.eye import judged
from curation.demo.painting.flow import paint, scaled
from curation.demo.painting.painter import Painter
from curation.demo.painting.reading import TOKENS, Texts, factors_of
from curation.demo.painting.trainings import open_eye
from curation.demo.truth import Scene, generator, reserved
from curation.load.conditioning import Weighted

STRENGTHS = (0.0, 0.5, 1.0, 2.0)
_STREAM = 167  # keeps these captions apart from the random streams of the scenes
_SCENES = 4000  # seed of their scenes


@dataclass(frozen=True)
class News:
    """A news caption with its subjects, and ``about``: a scene of nothing but the thing that weighs most."""

    text: str
    subjects: tuple[Weighted, ...]
    about: Scene

    def factors(self, strength: float, most: int = TOKENS) -> tuple[float, ...]:
        """A factor for each token that a painter reads, the begin token and padding included."""
        return factors_of(self.text, self.subjects, strength, most)


def news(new: bool = False) -> Iterator[News]:
    """News captions whose heaviest subject is a thing; without end. That of ``new`` ones is a new combination."""
    for index in count():
        shown = corner_scene(_SCENES, index, new)
        found = news_caption(shown, generator(0, index, _STREAM))
        heaviest = max(found.subjects, key=lambda s: s.weight)
        for thing in shown.objects:
            told = thing.colour in heaviest.text.lower().split() and thing.kind in heaviest.text.lower()
            if told and reserved(thing.kind, thing.colour) == new:
                subjects = tuple(Weighted(s.start, s.end, s.weight) for s in found.subjects)
                yield News(found.text, subjects, replace(shown, objects=(thing,), relations=()))
                break


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m curation.demo.painting.subjects", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--work", type=Path, default=Path("runs/painting"), help="folder (default %(default)s)")
    parser.add_argument("--captions", type=int, default=256, help="news captions (default %(default)s)")
    parser.add_argument("--seeds", type=int, default=3, help="painters of so many seeds (default %(default)s)")
    parser.add_argument("--eye-steps", type=int, default=1500, help="steps of the judge (default %(default)s)")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 for all cores")
    options = parser.parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    eye = open_eye(options.work, options.eye_steps, lambda line: None)
    asked = list(islice(news(), options.captions))
    nothing = Texts.of([""], TOKENS)
    refined = COMPARISONS["captions"][1]
    sys.stdout.write("| seed | strength | thing | its colour | its count |\n|---:|---:|---:|---:|---:|\n")
    for seed in range(options.seeds):
        path = options.work / "painters" / refined.file(seed)
        if not path.exists():
            continue
        painter = Painter()
        painter.load_state_dict(torch.load(path, weights_only=True))
        for strength in STRENGTHS:
            read = Texts.of([n.text for n in asked], TOKENS, factors=[n.factors(strength) for n in asked])
            found = judged(eye, scaled(paint(painter.eval(), read, nothing)), [n.about for n in asked])
            shares = (found.things, found.coloured, found.counted)
            sys.stdout.write(f"| {seed} | {strength} | {' | '.join(f'{s:.3f}' for s in shares)} |\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())

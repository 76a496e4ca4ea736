"""Trains painters on releases that differ in one thing, and judges what they paint.

python -m curation.demo.painting.compare captions        # alt texts against refined captions
python -m curation.demo.painting.compare settings        # the pipeline's own settings
python -m curation.demo.painting.compare adapter         # a text encoder alone against a cross adapter

Each line of the table is one training. Finished ones are kept in the work folder and not trained again.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch

from curation.core.errors import LapidaryError
from curation.demo.painting.arms import COMPARISONS, Arm, Studio
from curation.demo.painting.corner import corner_scene
from curation.demo.painting.eye import Eye, Right, judged
from curation.demo.painting.flow import scaled
from curation.demo.painting.lesson import Course, Trained, eye_accuracy, train_painter
from curation.demo.painting.reading import Texts, read_release
from curation.demo.painting.states import states_of
from curation.demo.painting.trainings import Kept, command, last_loss, open_eye, paint_all, read_options, save, say
from curation.demo.phrases import dense_caption, short_caption
from curation.demo.released import TextScore
from curation.demo.truth import Scene, generator

_STREAM = 163  # keeps prompts apart from the random streams of the scenes
_PROMPTS = 3000  # seed of their scenes


@dataclass(frozen=True)
class Result:
    """What a painter of one arm and seed got right: prompts of new combinations, and of those it has seen."""

    arm: str
    seed: int
    pictures: int
    steps: int
    loss: float
    seconds: float
    new: Right
    seen: Right


def prompts(count: int, new: bool, form: Literal["short", "dense"] = "short") -> tuple[list[Scene], list[str]]:
    """Scenes that no release holds, and a true caption of each."""
    shown = [corner_scene(_PROMPTS, index, new) for index in range(count)]
    write = short_caption if form == "short" else dense_caption
    return shown, [write(s, generator(0, s.index, int(new), _STREAM)) for s in shown]


def painted(done: Trained, texts: Sequence[str]) -> torch.Tensor:
    """A picture for each text: uint8 (n, 3, HEIGHT, WIDTH)."""
    shape = done.painter.shape
    return paint_all(done, Texts.of(texts, shape.tokens, states_of(texts) if shape.states else ()))


def score(done: Trained, arm: Arm, eye: Eye, count: int, new: bool) -> Right:
    """How much of what ``count`` prompts ask for stands in the pictures that are painted for them."""
    shown, texts = prompts(count, new, arm.prompt)
    return judged(eye, scaled(painted(done, texts)), shown)


def run(
    studio: Studio, arm: Arm, course: Course, seed: int, eye: Eye, count: int, say: Callable[[str], None]
) -> Result:
    """Trains and judges one painter."""
    lessons = read_release(studio.release(arm, say), arm.captions, states=arm.adapter)
    say(f"{arm.name}, seed {seed}: {course.steps} steps on {len(lessons)} pictures")
    width = 0 if lessons.of_nothing is None else lessons.of_nothing.shape[1]
    shape = replace(course.shape, tokens=arm.tokens, states=width)
    done = train_painter(lessons, replace(course, shape=shape), seed)
    new, seen = (score(done, arm, eye, count, n) for n in (True, False))
    save(studio.work / "painters" / arm.file(seed), done.painter)
    return Result(arm.name, seed, len(lessons), course.steps, last_loss(done), done.seconds, new, seen)


def table(results: Sequence[Result]) -> str:
    """The results as Markdown, a line a training."""
    head = "| arm | seed | pictures | thing | its colour | its count | all right | all right, seen combinations |"
    lines = [head, "|---|---:|---:|---:|---:|---:|---:|---:|"]
    for r in sorted(results, key=lambda r: (r.arm, r.seed)):
        figures = (r.new.things, r.new.coloured, r.new.counted, r.new.whole, r.seen.whole)
        lines.append(f"| {r.arm} | {r.seed} | {r.pictures} | " + " | ".join(f"{f:.3f}" for f in figures) + " |")
    return "\n".join(lines)


def texts_table(scores: Mapping[str, TextScore]) -> str:
    """What the arms' texts say of their pictures, as Markdown: shares of the things named, of their colours and counts
    stated, and of the texts that say anything false."""
    lines = ["| texts | number | things | colours | counts | with anything false |", "|---|---:|---:|---:|---:|---:|"]
    for name, found in scores.items():
        stated = (found.by_aspect.get(aspect, 0.0) for aspect in ("object", "colour", "count"))
        shares = " | ".join(f"{share:.3f}" for share in (*stated, found.with_false))
        lines.append(f"| {name} | {found.texts} | {shares} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = command("compare", __doc__, steps=Course.steps, seeds=(0, 1, 2))
    parser.add_argument("comparison", choices=sorted(COMPARISONS))
    parser.add_argument(
        "--pictures", type=int, default=Studio.pictures, help="pictures to refine (default %(default)s)"
    )
    parser.add_argument("--copies", type=int, default=Studio.copies, help="near copies of a few (default %(default)s)")
    parser.add_argument("--prompts", type=int, default=256, help="of each sort (default %(default)s)")
    options = read_options(parser, arguments)
    studio = Studio(options.work, options.pictures, options.copies)
    course = Course(steps=options.steps)
    kept = Kept(options.work / "results.jsonl", Result)
    arms = COMPARISONS[options.comparison]
    try:
        eye = open_eye(options.work, options.eye_steps, say)
        say(f"the judge, on rendered pictures: {eye_accuracy(eye, scenes=2 * options.prompts)}")
        for seed in options.seeds:
            for arm in arms:
                if any((r.arm, r.seed, r.steps) == (arm.name, seed, course.steps) for r in kept.results()):
                    continue
                result = run(studio, arm, course, seed, eye, options.prompts, say)
                kept.add([result])
                say(str(result))
    except LapidaryError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    named = {arm.name for arm in arms}
    found = [r for r in kept.results() if r.arm in named and r.seed in options.seeds and r.steps == course.steps]
    sys.stdout.write(f"{texts_table({arm.name: studio.truth(arm) for arm in arms})}\n\n{table(found)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Trains painters on releases that differ in one thing, and judges what they paint.

python -m curation.demo.painting.compare captions        # alt texts against refined captions
python -m curation.demo.painting.compare settings        # the pipeline's own settings
python -m curation.demo.painting.compare adapter         # a text encoder alone against a cross adapter

Each line of the table is one training. Finished ones are kept in the work folder and not trained again.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import torch

from curation.core.errors import LapidaryError
from curation.demo.painting.arms import COMPARISONS, Arm, Studio
from curation.demo.painting.corner import corner_scene
from curation.demo.painting.eye import Eye, Right, judged
from curation.demo.painting.flow import paint, scaled
from curation.demo.painting.lesson import Course, Trained, eye_accuracy, train_eye, train_painter
from curation.demo.painting.painter import Painter
from curation.demo.painting.reading import Texts, read_release
from curation.demo.painting.states import states_of
from curation.demo.phrases import dense_caption, short_caption
from curation.demo.released import TextScore
from curation.demo.truth import Scene, generator

_STREAM = 163  # keeps prompts apart from the random streams of the scenes
_PROMPTS = 3000  # seed of their scenes
_BATCH = 64  # pictures that are painted at once


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
    read = Texts.of(texts, shape.tokens, states_of(texts) if shape.states else ())
    parts = [slice(at, at + _BATCH) for at in range(0, len(texts), _BATCH)]
    return torch.cat([paint(done.painter, read.rows(p), done.nothing, seed) for seed, p in enumerate(parts)])


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
    last = done.losses[-max(1, len(done.losses) // 20) :]
    save(studio.work / "painters" / arm.file(seed), done.painter)
    return Result(arm.name, seed, len(lessons), course.steps, sum(last) / len(last), done.seconds, new, seen)


def save(path: Path, painter: Painter) -> None:
    """Keeps a painter's weights."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(painter.state_dict(), path)


def open_eye(work: Path, steps: int, say: Callable[[str], None]) -> Eye:
    """The judge of a work folder, trained if there is none."""
    path = work / f"eye-{steps}.pt"
    if not path.exists():
        say(f"training the judge, {steps} steps")
        work.mkdir(parents=True, exist_ok=True)
        torch.save(train_eye(steps).state_dict(), path)
    eye = Eye()
    eye.load_state_dict(torch.load(path, weights_only=True))
    return eye.eval()


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


def _finished(path: Path) -> list[Result]:
    lines = path.read_text().splitlines() if path.exists() else []
    found = (json.loads(line) for line in lines)
    return [Result(**{**f, "new": Right(**f["new"]), "seen": Right(**f["seen"])}) for f in found]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m curation.demo.painting.compare", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("comparison", choices=sorted(COMPARISONS))
    parser.add_argument("--work", type=Path, default=Path("runs/painting"), help="folder (default %(default)s)")
    parser.add_argument(
        "--pictures", type=int, default=Studio.pictures, help="pictures to refine (default %(default)s)"
    )
    parser.add_argument("--copies", type=int, default=Studio.copies, help="near copies of a few (default %(default)s)")
    parser.add_argument("--steps", type=int, default=Course.steps, help="steps of a training (default %(default)s)")
    parser.add_argument("--seeds", type=int, nargs="+", default=(0, 1, 2), help="a training each (default 0 1 2)")
    parser.add_argument("--prompts", type=int, default=256, help="of each sort (default %(default)s)")
    parser.add_argument("--eye-steps", type=int, default=1500, help="steps of the judge (default %(default)s)")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 for all cores")
    options = parser.parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    say = _say
    studio = Studio(options.work, options.pictures, options.copies)
    course = Course(steps=options.steps)
    kept = options.work / "results.jsonl"
    arms = COMPARISONS[options.comparison]
    try:
        eye = open_eye(options.work, options.eye_steps, say)
        say(f"the judge, on rendered pictures: {eye_accuracy(eye, scenes=2 * options.prompts)}")
        for seed in options.seeds:
            for arm in arms:
                if any((r.arm, r.seed, r.steps) == (arm.name, seed, course.steps) for r in _finished(kept)):
                    continue
                result = run(studio, arm, course, seed, eye, options.prompts, say)
                with kept.open("a") as file:
                    file.write(json.dumps(asdict(result)) + "\n")
                say(str(result))
    except LapidaryError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    named = {arm.name for arm in arms}
    found = [r for r in _finished(kept) if r.arm in named and r.seed in options.seeds and r.steps == course.steps]
    sys.stdout.write(f"{texts_table({arm.name: studio.truth(arm) for arm in arms})}\n\n{table(found)}\n")
    return 0


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())

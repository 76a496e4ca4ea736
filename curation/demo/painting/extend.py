"""Extends pictures to the right, three steps, by global and local captions, and judges each step.

python -m curation.demo.painting.extend

A painter learns from the windows of a release of expansion data. Then it is given the first thing of a wide picture
and paints the others, one after the other: what it has painted is what it sees of the next window. Painters with and
without local captions learn from the same windows. Finished trainings are kept in the work folder.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from PIL import Image

from curation.core.errors import LapidaryError
from curation.core.store import Store
from curation.demo.painting.corner import SIDE, TILES, wide_scene
from curation.demo.painting.eye import Eye, Right, judged
from curation.demo.painting.flow import canvas_of, paint, scaled
from curation.demo.painting.lesson import Course, Trained, train_painter
from curation.demo.painting.painter import Shape
from curation.demo.painting.reading import HEIGHT, WIDTH, Texts, shrunk
from curation.demo.painting.releases import make_expansion
from curation.demo.painting.trainings import Kept, command, last_loss, open_eye, read_options, save, say
from curation.demo.painting.windows import WINDOW_TOKENS, Told, read_windows, told
from curation.demo.panorama import view
from curation.demo.panorama_judge import Naming, judge_release
from curation.demo.panoramas import TRUTH, write_scenes
from curation.demo.phrases import short_caption
from curation.demo.render import jpeg
from curation.demo.truth import Scene, generator

STEPS = TILES - 1
"""Windows of a wide picture, one a step to the right."""
ARMS: Mapping[str, Told] = {"global alone": "global", "global and local": "both"}
_HALF = WIDTH // 2
_GREY = 127  # under the mask, as in the loader
_STREAM = 179  # keeps these captions apart from other random streams
_SCENES = 5000  # seed of the wide scenes to paint


@dataclass(frozen=True)
class Asked:
    """Wide scenes that no release holds: their windows by step, a true caption of each, and one of each whole."""

    scenes: Sequence[Scene]
    windows: Sequence[Sequence[Scene]]
    local: Sequence[Sequence[str]]
    whole: Sequence[str]

    @classmethod
    def of(cls, count: int, new: bool) -> Asked:
        shown = [wide_scene(_SCENES, index, new) for index in range(count)]
        places = [step * SIDE // 2 for step in range(STEPS)]
        windows = [[view(s, (left, 0, left + SIDE, SIDE)) for s in shown] for left in places]
        local = [[_caption(s, step, new) for s in row] for step, row in enumerate(windows)]
        return cls(shown, windows, local, [_caption(s, STEPS, new) for s in shown])

    def texts(self, step: int, which: Told) -> list[str]:
        """What a painter reads of each picture in that step."""
        return [told(whole, local, which) for whole, local in zip(self.whole, self.local[step], strict=True)]


@dataclass(frozen=True)
class Extended:
    """What a painter got right in each step: in ``things``, ``coloured`` and ``counted`` the thing that it had to add,
    in ``whole`` the window that its local caption describes. Of new combinations, and of those it has seen."""

    arm: str
    seed: int
    windows: int
    steps: int
    loss: float
    seconds: float
    new: Sequence[Right]
    seen: Sequence[Right]


def wide_course(steps: int) -> Course:
    """How long a painter that extends pictures learns."""
    return Course(steps, shape=Shape(tokens=WINDOW_TOKENS, extends=True))


def strip(shown: Scene) -> torch.Tensor:
    """A wide scene as the loader would give it: uint8 (3, HEIGHT, TILES * WIDTH / 2)."""
    with Image.open(io.BytesIO(jpeg(shown))) as image:
        return shrunk(image, TILES * _HALF)


def extended(done: Trained, start: torch.Tensor, texts: Sequence[Sequence[str]]) -> torch.Tensor:
    """Pictures that go on by half a window for each row of ``texts``. ``start`` is uint8 (n, 3, HEIGHT, WIDTH / 2)."""
    found = start
    mask = torch.zeros(len(start), 1, HEIGHT, WIDTH, dtype=torch.uint8)
    mask[..., _HALF:] = 1
    for seed, asked in enumerate(texts):
        visible = torch.cat([found[..., -_HALF:], torch.full_like(start, _GREY)], dim=3)
        read = Texts.of(asked, WINDOW_TOKENS)
        window = paint(done.painter, read, done.nothing, seed, canvas=canvas_of(visible, mask))
        found = torch.cat([found, window[..., _HALF:]], dim=3)
    return found


def judged_steps(eye: Eye, strips: torch.Tensor, asked: Asked) -> list[Right]:
    """What each window of wide pictures, uint8 (n, 3, HEIGHT, TILES * WIDTH / 2), shows of what was asked for."""
    found = []
    for step, windows in enumerate(asked.windows):
        pixels = scaled(strips[..., step * _HALF : step * _HALF + WIDTH])
        fresh = judged(eye, pixels, [replace(w, objects=w.objects[1:], relations=()) for w in windows])
        found.append(replace(fresh, whole=judged(eye, pixels, windows).whole))
    return found


def score(done: Trained, which: Told, eye: Eye, asked: Asked) -> list[Right]:
    """Lets a painter extend the first thing of each scene, and judges every step."""
    start = torch.stack([strip(s)[..., :_HALF] for s in asked.scenes])
    return judged_steps(eye, extended(done, start, [asked.texts(step, which) for step in range(STEPS)]), asked)


def run(work: Path, root: str, arm: str, course: Course, seed: int, eye: Eye, count: int) -> Extended:
    """Trains and judges one painter."""
    lessons = read_windows(root, ARMS[arm])
    done = train_painter(lessons, course, seed)
    new, seen = (score(done, ARMS[arm], eye, Asked.of(count, n)) for n in (True, False))
    save(work / "painters" / f"extend-{arm.replace(' ', '-')}-{seed}.pt", done.painter)
    return Extended(arm, seed, len(lessons), course.steps, last_loss(done), done.seconds, new, seen)


def table(results: Sequence[Extended]) -> str:
    """The results as Markdown, a line a step."""
    head = "| captions | seed | step | new thing | its colour | its count | window | window, new combinations |"
    lines = [head, "|---|---:|---:|---:|---:|---:|---:|---:|"]
    for r in sorted(results, key=lambda r: (r.arm, r.seed)):
        for step, (seen, new) in enumerate(zip(r.seen, r.new, strict=True), 1):
            figures = (seen.things, seen.coloured, seen.counted, seen.whole, new.whole)
            lines.append(f"| {r.arm} | {r.seed} | {step} | " + " | ".join(f"{f:.3f}" for f in figures) + " |")
    return "\n".join(lines)


def texts_table(scores: Mapping[str, Naming]) -> str:
    """What the release's captions say of its pictures, as Markdown."""
    lines = [
        "| captions | number | F1 of things | things named | false among what is said |",
        "|---|---:|---:|---:|---:|",
    ]
    lines += [f"| {name} | {n.texts} | {n.f1:.3f} | {n.recall:.3f} | {n.false:.3f} |" for name, n in scores.items()]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = command("extend", __doc__, steps=500, seeds=(0, 1))
    parser.add_argument("--pictures", type=int, default=300, help="wide pictures to expand (default %(default)s)")
    parser.add_argument("--prompts", type=int, default=64, help="wide scenes of each sort (default %(default)s)")
    options = read_options(parser, arguments)
    course = wide_course(options.steps)
    kept = Kept(options.work / "extensions.jsonl", Extended)
    try:
        eye = open_eye(options.work, options.eye_steps, say)
        asked = Asked.of(options.prompts, new=True)
        real = torch.stack([strip(s) for s in asked.scenes])
        say(f"the judge, on rendered windows: {judged_steps(eye, real, asked)}")
        root = wide_release(options.work, options.pictures, say)
        for seed in options.seeds:
            for arm in ARMS:
                if any((r.arm, r.seed, r.steps) == (arm, seed, course.steps) for r in kept.results()):
                    continue
                say(f"{arm}, seed {seed}: {course.steps} steps")
                result = run(options.work, root, arm, course, seed, eye, options.prompts)
                kept.add([result])
                say(str(result))
    except LapidaryError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    found = [r for r in kept.results() if r.seed in options.seeds and r.steps == course.steps]
    named = judge_release(options.work / "wide" / TRUTH, Store(root))
    sys.stdout.write(f"{texts_table({'local': named.local, 'global': named.whole})}\n\n{table(found)}\n")
    return 0


def _caption(shown: Scene, step: int, new: bool) -> str:
    return short_caption(shown, generator(0, shown.index, int(new), step, _STREAM))


def wide_release(work: Path, count: int, say: Callable[[str], None]) -> str:
    """The expansion data that painters learn from, made if it is not there."""
    pictures = work / "wide" / "pictures"
    if not pictures.is_dir():
        say(f"writing {count} wide pictures")
        write_scenes(work / "wide", (wide_scene(0, index) for index in range(count)))
    say(f"expanding into {work / 'expansion'}")
    return make_expansion(work / "expansion", pictures)


if __name__ == "__main__":
    sys.exit(main())

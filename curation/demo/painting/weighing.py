"""Trains painters on news captions, with and without the weights of their subjects.

python -m curation.demo.painting.weighing

Pictures of the corner become a newsroom, and the product of ``flows.build_anchor`` a release of it with weighted
subjects. Two painters learn from that release; one of them has the states of each caption's tokens scaled by the
subjects that they belong to (``curation.conditioning``), while learning and while painting. Both are asked for captions
with names that they have never read. Finished trainings are kept in the work folder.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import torch

from curation.core.errors import LapidaryError
from curation.demo.newsroom import write_newsroom
from curation.demo.painting.corner import corner_scene
from curation.demo.painting.eye import Eye, Right, judged
from curation.demo.painting.flow import scaled
from curation.demo.painting.lesson import Course, Trained, train_painter
from curation.demo.painting.reading import NEWS_TOKENS, Texts, read_news
from curation.demo.painting.releases import make_news
from curation.demo.painting.subjects import News, news
from curation.demo.painting.trainings import Kept, command, last_loss, open_eye, paint_all, read_options, save, say
from curation.load.conditioning import STRENGTH


@dataclass(frozen=True)
class Weighed:
    """What a painter showed of the heaviest subjects of news captions: of combinations that are new to it, and of those
    it has seen. ``learned`` and ``painted`` are the strengths of the subjects' weights; 0 is without."""

    learned: float
    painted: float
    seed: int
    pictures: int
    steps: int
    loss: float
    seconds: float
    new: Right
    seen: Right


def painted(done: Trained, asked: Sequence[News], strength: float) -> torch.Tensor:
    """A picture for each caption: uint8 (n, 3, HEIGHT, WIDTH)."""
    most = done.painter.shape.tokens
    factors = [n.factors(strength, most) for n in asked] if strength else []
    return paint_all(done, Texts.of([n.text for n in asked], most, factors=factors))


def score(done: Trained, strength: float, eye: Eye, count: int, new: bool) -> Right:
    """How much of the heaviest subjects of ``count`` captions stands in the pictures painted for them."""
    asked = list(islice(news(new), count))
    return judged(eye, scaled(painted(done, asked, strength)), [n.about for n in asked])


def run(work: Path, root: str, learned: float, course: Course, seed: int, eye: Eye, count: int) -> list[Weighed]:
    """Trains one painter, and judges it with and without weights while painting."""
    lessons = read_news(root, learned, course.shape.tokens)
    done = train_painter(lessons, course, seed)
    save(work / "painters" / f"news-{learned}-{seed}.pt", done.painter)
    found = []
    for strength in sorted({0.0, learned or STRENGTH}):
        new, seen = (score(done, strength, eye, count, n) for n in (True, False))
        loss = last_loss(done)
        found.append(Weighed(learned, strength, seed, len(lessons), course.steps, loss, done.seconds, new, seen))
    return found


def table(results: Sequence[Weighed]) -> str:
    """The results as Markdown, a line for each painter and strength while painting."""
    heads = ("thing", "its colour", "its count")
    lines = ["| learned | painted | seed | " + " | ".join([*heads, *(f"{h}, new" for h in heads)]) + " |"]
    lines.append("|---:|---:|---:" + "|---:" * 6 + "|")
    for r in sorted(results, key=lambda r: (r.learned, r.painted, r.seed)):
        shares = [getattr(right, share) for right in (r.seen, r.new) for share in ("things", "coloured", "counted")]
        lines.append(f"| {r.learned} | {r.painted} | {r.seed} | " + " | ".join(f"{s:.3f}" for s in shares) + " |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = command("weighing", __doc__, steps=900, seeds=(0, 1, 2))
    parser.add_argument("--pictures", type=int, default=1250, help="of the newsroom (default %(default)s)")
    parser.add_argument(
        "--strengths", type=float, nargs="+", default=(0.0, STRENGTH), help=f"of weights (default 0 and {STRENGTH})"
    )
    parser.add_argument("--captions", type=int, default=256, help="news captions of each sort (default %(default)s)")
    options = read_options(parser, arguments)
    course = Course(options.steps)
    course = replace(course, shape=replace(course.shape, tokens=NEWS_TOKENS))
    kept = Kept(options.work / "weighed.jsonl", Weighed)
    try:
        eye = open_eye(options.work, options.eye_steps, say)
        root = _release(options.work, options.pictures, say)
        for seed in options.seeds:
            for learned in options.strengths:
                if any((r.learned, r.seed, r.steps) == (learned, seed, course.steps) for r in kept.results()):
                    continue
                say(f"strength {learned}, seed {seed}: {course.steps} steps")
                results = run(options.work, root, learned, course, seed, eye, options.captions)
                kept.add(results)
                say("\n".join(map(str, results)))
    except LapidaryError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    asked = {(learned, seed, course.steps) for learned in options.strengths for seed in options.seeds}
    sys.stdout.write(f"{table([r for r in kept.results() if (r.learned, r.seed, r.steps) in asked])}\n")
    return 0


def _release(work: Path, count: int, say: Callable[[str], None]) -> str:
    """The release of news that painters learn from, made if it is not there."""
    say(f"a newsroom of {count} pictures, made into {work / 'news'}")
    sources = write_newsroom(work / "newsroom", scenes=count, shown=corner_scene)
    return make_news(work / "news", sources)


if __name__ == "__main__":
    sys.exit(main())

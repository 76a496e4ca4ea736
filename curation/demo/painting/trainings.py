"""What all commands that train painters share: their options, the judge, and the trainings that a work folder keeps."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import torch

from curation.demo.painting.eye import Eye, Right
from curation.demo.painting.flow import paint
from curation.demo.painting.lesson import Trained, train_eye
from curation.demo.painting.painter import Painter
from curation.demo.painting.reading import Texts

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

R = TypeVar("R", bound="DataclassInstance")
_BATCH = 64  # pictures that are painted at once


def command(name: str, about: str | None, *, steps: int, seeds: Sequence[int]) -> argparse.ArgumentParser:
    """The options that all have; ``steps`` and ``seeds`` are the defaults."""
    parser = argparse.ArgumentParser(prog=f"python -m curation.demo.painting.{name}", description=about)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--work", type=Path, default=Path("runs/painting"), help="folder (default %(default)s)")
    parser.add_argument("--steps", type=int, default=steps, help="steps of a training (default %(default)s)")
    several = " ".join(map(str, seeds))
    parser.add_argument("--seeds", type=int, nargs="+", default=seeds, help=f"a training each (default {several})")
    parser.add_argument("--eye-steps", type=int, default=1500, help="steps of the judge (default %(default)s)")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 for all cores")
    return parser


def read_options(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options as given; from now on this process has so many threads as they say."""
    options = parser.parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    return options


def say(line: str) -> None:
    """Tells of progress, on the stream of errors: what is printed is the table."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


@dataclass(frozen=True)
class Kept(Generic[R]):
    """The finished trainings of a work folder, a line each; ``kind`` is what one found."""

    path: Path
    kind: type[R]

    def results(self) -> list[R]:
        """All of them, in the order in which they were finished."""
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        return [self.kind(**{k: _revived(v) for k, v in json.loads(line).items()}) for line in lines]

    def add(self, results: Sequence[R]) -> None:
        """Keeps what a training found."""
        with self.path.open("a") as file:
            file.writelines(json.dumps(asdict(result)) + "\n" for result in results)


def _revived(value: Any) -> Any:
    """What a judge found is the one kind of object in a result."""
    if isinstance(value, dict):
        return Right(**value)
    return [_revived(v) for v in value] if isinstance(value, list) else value


def open_eye(work: Path, steps: int, tell: Callable[[str], None]) -> Eye:
    """The judge of a work folder, trained if there is none."""
    path = work / f"eye-{steps}.pt"
    if not path.exists():
        tell(f"training the judge, {steps} steps")
        work.mkdir(parents=True, exist_ok=True)
        torch.save(train_eye(steps).state_dict(), path)
    eye = Eye()
    eye.load_state_dict(torch.load(path, weights_only=True))
    return eye.eval()


def save(path: Path, painter: Painter) -> None:
    """Keeps a painter's weights."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(painter.state_dict(), path)


def last_loss(done: Trained) -> float:
    """The mean loss of the last twentieth of the steps."""
    last = done.losses[-max(1, len(done.losses) // 20) :]
    return sum(last) / len(last)


def paint_all(done: Trained, read: Texts) -> torch.Tensor:
    """A picture for each text: uint8 (n, 3, HEIGHT, WIDTH)."""
    parts = [slice(at, at + _BATCH) for at in range(0, len(read), _BATCH)]
    return torch.cat([paint(done.painter, read.rows(p), done.nothing, seed) for seed, p in enumerate(parts)])

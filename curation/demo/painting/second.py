"""A second judge: the demo captioner describes enlarged pictures, and its claims are compared with what was asked for.

python -m curation.demo.painting.second --work runs/painting

It was trained on whole scenes of 192 pixels, and knows nothing of painters: where it agrees with the first judge, that
one has not been deceived. It judges real pictures made as small, and all painters that ``compare`` has kept.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from curation.caption.model.chat import ChatRequest, Sampling
from curation.caption.model.checkpoint import identify
from curation.caption.model.transformers import TransformersModel
from curation.caption.prompts import load
from curation.demo.claims import Claim, claims
from curation.demo.painting.arms import COMPARISONS
from curation.demo.painting.compare import prompts
from curation.demo.painting.eye import Right
from curation.demo.painting.flow import paint
from curation.demo.painting.lesson import picture
from curation.demo.painting.painter import Painter
from curation.demo.painting.reading import TOKENS, Texts
from curation.demo.truth import Scene

_SIDE = 384


def enlarged(pixels: torch.Tensor) -> bytes:
    """uint8 (3, HEIGHT, WIDTH) as a square JPEG; its edges go on above and below, as the corner's ground does."""
    wide = Image.fromarray(pixels.permute(1, 2, 0).numpy()).resize((_SIDE, _SIDE // 2), Image.Resampling.BICUBIC)
    square = np.pad(np.asarray(wide), ((_SIDE // 4, _SIDE // 4), (0, 0), (0, 0)), mode="edge")
    file = io.BytesIO()
    Image.fromarray(square).save(file, "JPEG", quality=95)
    return file.getvalue()


def described(model: TransformersModel, pixels: torch.Tensor) -> list[str]:
    """A short caption of each picture, uint8 (n, 3, HEIGHT, WIDTH)."""
    asked = load("short").render("", {})
    requests = (
        ChatRequest(str(row), asked, image=enlarged(one), sampling=Sampling(max_tokens=64))
        for row, one in enumerate(pixels)
    )
    replies = {reply.key: reply.text or "" for reply in model.complete(requests)}
    return [replies[str(row)] for row in range(len(pixels))]


def right_in(texts: Sequence[str], scenes: Sequence[Scene]) -> Right:
    """The shares of ``Right`` by what texts claim of pictures that were asked to show these scenes."""
    things = coloured = counted = whole = total = 0
    for text, shown in zip(texts, scenes, strict=True):
        found = claims(text)
        total += len(shown.objects)
        right = [
            (
                Claim("object", o.kind, "") in found,
                Claim("colour", o.kind, o.colour) in found,
                Claim("count", o.kind, str(o.count)) in found,
            )
            for o in shown.objects
        ]
        things, coloured, counted = (n + sum(r[i] for r in right) for i, n in enumerate((things, coloured, counted)))
        named = {c.subject for c in found if c.aspect == "object"}
        whole += all(all(r) for r in right) and named == {o.kind for o in shown.objects}
    return Right(things / total, coloured / total, counted / total, whole / len(scenes))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m curation.demo.painting.second", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--work", type=Path, default=Path("runs/painting"), help="folder (default %(default)s)")
    parser.add_argument("--prompts", type=int, default=128, help="of new combinations (default %(default)s)")
    parser.add_argument("--seeds", type=int, default=3, help="painters of so many seeds (default %(default)s)")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 for all cores")
    options = parser.parse_args(arguments)
    model = TransformersModel("demo", identify("demo"), batch=32, threads=options.threads)
    shown, texts = prompts(options.prompts, new=True)
    rows = [("real pictures", torch.stack([picture(s) for s in shown]))]
    read, nothing = Texts.of(texts, TOKENS), Texts.of([""], TOKENS)
    arms = {arm.name: arm for arms in COMPARISONS.values() for arm in arms if arm.prompt == "short"}
    for name, arm in arms.items():
        for seed in range(options.seeds):
            path = options.work / "painters" / arm.file(seed)
            if path.exists():
                painter = Painter()
                painter.load_state_dict(torch.load(path, weights_only=True))
                rows.append((f"{name}, seed {seed}", paint(painter.eval(), read, nothing)))
    sys.stdout.write("| pictures | thing | its colour | its count | all right |\n|---|---:|---:|---:|---:|\n")
    for name, pixels in rows:
        found = right_in(described(model, pixels), shown)
        figures = (found.things, found.coloured, found.counted, found.whole)
        sys.stdout.write(f"| {name} | {' | '.join(f'{f:.3f}' for f in figures)} |\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())

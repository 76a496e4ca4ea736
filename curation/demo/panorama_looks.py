"""How truly long panoramas are described, by how they are shown to the demo captioner: as they are, or in parts.

python -m curation.demo.panorama_looks --pictures 12

Of several parts the captions are joined into one, by what stands in for a language model in the demo. ``parts of the
flow`` are those that ``flows.expand`` lays, and ``the picture`` is what it shows where it lays none.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np
from PIL import Image

from curation.caption.model.chat import ChatModel, ChatRequest, Sampling
from curation.caption.prompts import load
from curation.demo.joining import joined
from curation.demo.panorama import panorama
from curation.demo.panorama_judge import Naming, naming
from curation.demo.render import jpeg
from curation.demo.truth import Scene
from curation.expand.geometry import parts as parts_of_flow
from schemas.expand import Parts

Shown = Callable[[Image.Image], Sequence[Image.Image]]
_OF_ALL, _OF_A_PART = ("short", 80), ("dense", 200)  # prompt and most tokens, as in the flow's demo


def squared(image: Image.Image) -> Image.Image:
    """The picture in the middle of a square; its edges go on beside it."""
    pixels = np.asarray(image.convert("RGB"))
    high, wide = pixels.shape[:2]
    side = max(high, wide)
    above, left = (side - high) // 2, (side - wide) // 2
    around = ((above, side - high - above), (left, side - wide - left), (0, 0))
    return Image.fromarray(np.pad(pixels, around, mode="edge"))


def equal_parts(image: Image.Image, count: int) -> list[Image.Image]:
    """Equal parts along the longer side, which do not overlap."""
    wide, high = image.size
    cuts = [(max(image.size) * n // count, max(image.size) * (n + 1) // count) for n in range(count)]
    return [image.crop((a, 0, b, high) if wide > high else (0, a, wide, b)) for a, b in cuts]


def flow_parts(image: Image.Image, settings: Parts) -> list[Image.Image]:
    """The parts that the flow lays over a picture of any length."""
    return [image.crop(box) for box in parts_of_flow(*image.size, settings)]


LOOKS: Mapping[str, Shown] = {
    "the picture": lambda image: [image],
    "it in a square": lambda image: [squared(image)],
    "two halves": partial(equal_parts, count=2),
    "parts of the flow": partial(flow_parts, settings=Parts(max_aspect=1)),
}


def told(model: ChatModel, scenes: Sequence[Scene], looks: Mapping[str, Shown]) -> dict[str, list[str]]:
    """For each way to look, one caption of each scene; where several parts are shown, it is joined from theirs."""
    owners: dict[str, tuple[str, int]] = {}
    captions: dict[tuple[str, int], list[str]] = {}
    for reply in model.complete(_requests(scenes, looks, owners)):
        captions.setdefault(owners[reply.key], []).append(reply.text or "")
    return {look: [_one(captions.get((look, number), [])) for number in range(len(scenes))] for look in looks}


def _requests(
    scenes: Sequence[Scene], looks: Mapping[str, Shown], owners: dict[str, tuple[str, int]]
) -> Iterator[ChatRequest]:
    for look, show in looks.items():
        for number, shown in enumerate(scenes):
            with Image.open(io.BytesIO(jpeg(shown))) as image:
                views = [_encoded(view) for view in show(image)]
            prompt, most = _OF_ALL if len(views) == 1 else _OF_A_PART
            for view in views:
                key = f"{len(owners):06d}"
                owners[key] = (look, number)
                yield ChatRequest(key, load(prompt).render("", {}), image=view, sampling=Sampling(max_tokens=most))


def _one(captions: Sequence[str]) -> str:
    return captions[0] if len(captions) == 1 else joined(captions)


def score(scenes: Sequence[Scene], texts: Sequence[str]) -> Naming:
    """How truly the texts name what the scenes show."""
    return naming(list(zip(scenes, texts, strict=True)))


def main(arguments: Sequence[str] | None = None) -> int:
    from curation.caption.model.checkpoint import identify
    from curation.caption.model.transformers import TransformersModel

    parser = argparse.ArgumentParser(prog="python -m curation.demo.panorama_looks", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--pictures", type=int, default=12, help="panoramas of each length (default %(default)s)")
    parser.add_argument(
        "--tiles", type=int, nargs="+", default=(3, 4, 5, 6), help="lengths in halves of the height (default 3 4 5 6)"
    )
    parser.add_argument("--looks", nargs="+", choices=LOOKS, default=list(LOOKS), help="ways to look (default all)")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 for all cores")
    options = parser.parse_args(arguments)
    model = TransformersModel("demo", identify("demo"), batch=16, threads=options.threads)
    looks = {look: LOOKS[look] for look in options.looks}
    sys.stdout.write("| ratio of sides | objects | shown to it | objects named | false among what is said |\n")
    sys.stdout.write("|---:|---:|---|---:|---:|\n")
    for tiles in options.tiles:
        scenes = [panorama(0, index, tiles) for index in range(options.pictures)]
        objects = sum(len(shown.objects) for shown in scenes)
        for look, texts in told(model, scenes, looks).items():
            found = score(scenes, texts)
            sys.stdout.write(f"| {tiles / 2:g} | {objects} | {look} | {found.recall:.3f} | {found.false:.3f} |\n")
            sys.stdout.flush()
    return 0


def _encoded(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.convert("RGB").save(out, "JPEG", quality=95)
    return out.getvalue()


if __name__ == "__main__":
    sys.exit(main())

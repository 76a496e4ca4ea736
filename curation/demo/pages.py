"""The demo web's pages: the image, the text and the trouble of each URL."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from curation.demo.alt_text import web_alt_text
from curation.demo.truth import Rng, Scene, generator
from curation.demo.world import scene

# Share of the scenes with each trouble; each occurs at least once. All others are plain JPEG files.
SHARES: Mapping[str, float] = {
    "404": 0.03, "410": 0.01, "always 500": 0.01, "429 then fine": 0.02, "500 then fine": 0.02,
    "redirect chain": 0.02, "redirect loop": 0.004, "redirect to a private address": 0.008, "private address": 0.006,
    "slow": 0.01, "slow drip": 0.006, "endless": 0.003, "truncated": 0.012, "html": 0.012, "empty body": 0.004,
    "noai header": 0.012, "tdm reservation": 0.006, "bad url": 0.004, "no url": 0.004,
    "too small": 0.012, "extreme aspect": 0.006, "claimed too small": 0.02, "claimed extreme aspect": 0.006,
    "too many pixels": 0.003, "animated gif": 0.008,
    "png": 0.02, "webp": 0.02, "cmyk jpeg": 0.006, "exif rotated": 0.012, "16-bit png": 0.006,
    "palette with alpha": 0.006, "grey jpeg": 0.006, "large": 0.02,
    "claimed sizes swapped": 0.04, "claimed sizes null": 0.02, "null punsafe": 0.04, "unsafe": 0.012, "watermark": 0.01,
    "repeated text": 0.04,
}  # fmt: skip
# Share of the scenes of which a further page shows a copy.
COPIES: Mapping[str, float] = {"exact duplicate": 0.03, "near duplicate": 0.05, "repeated row": 0.01}
NEAR = ("re-encoded at 30", "cropped by 5 %", "watermarked", "resized to half")
REPEATED_TEXT = "Product image, click to enlarge"
_EXTENSION = {"png": "png", "16-bit png": "png", "palette with alpha": "png", "webp": "webp", "animated gif": "gif"}
_PRIVATE = (
    "http://169.254.169.254/latest/meta-data/{}",
    "http://10.0.0.7/photo-{}.jpg",
    "http://192.168.1.1/cam-{}.jpg",
)


@dataclass(frozen=True)
class Page:
    """A URL and its columns in the list. ``path`` may be a whole URL, or empty."""

    number: int
    path: str
    scene: int
    trouble: str
    alt_text: str
    alt_category: str
    width: int | None
    height: int | None
    similarity: float
    punsafe: float | None
    pwatermark: float | None
    aesthetic: float
    copy_of: int | None = None
    transformation: str | None = None


def pages(seed: int, scenes: int, without: Iterable[str] = ()) -> list[Page]:
    """Every page of a web of that many scenes, in the list's order. Raises ``ValueError`` for unknown troubles.

    ``without`` names troubles to leave out.
    """
    left_out = set(without)
    if unknown := left_out - SHARES.keys() - COPIES.keys():
        raise ValueError(f"no such trouble: {sorted(unknown)}; known are {sorted([*SHARES, *COPIES])}")
    rng = generator(seed, 1)
    troubles = _assigned(rng, scenes, left_out)
    originals = [_original(rng, scene(seed, i), trouble) for i, trouble in enumerate(troubles)]
    found = originals + _copies(rng, seed, originals, left_out)
    # Originals score higher than copies and all scores differ, so that no keeper depends on an id.
    return [found[int(i)] for i in rng.permutation(len(found))]


def _assigned(rng: Rng, scenes: int, left_out: set[str]) -> list[str]:
    wanted = [(name, max(1, round(share * scenes))) for name, share in SHARES.items() if name not in left_out]
    rows = [name for name, count in wanted for _ in range(count)]
    # A very small web has room for some troubles only.
    rows = [rows[int(i)] for i in rng.permutation(len(rows))][: scenes * 3 // 4]
    rows += ["none"] * (scenes - len(rows))
    return [rows[int(i)] for i in rng.permutation(scenes)]


def _original(rng: Rng, shown: Scene, trouble: str) -> Page:
    number = shown.index
    text = web_alt_text(shown, rng)
    alt_text, category = (REPEATED_TEXT, "shop spam") if trouble == "repeated text" else (text.text, text.category)
    width, height = _claimed(shown, trouble)
    punsafe: float | None = round(float(rng.beta(1, 12)) * 0.45, 4)
    watermark: float | None = round(float(rng.beta(1.5, 5)) * 0.75, 4)
    if trouble == "null punsafe":
        punsafe = watermark = None
    return Page(
        number=number,
        path=_path(number, trouble),
        scene=number,
        trouble=trouble,
        alt_text=alt_text,
        alt_category=category,
        width=width,
        height=height,
        similarity=round(float(rng.normal(0.33, 0.03)), 4),
        punsafe=0.93 if trouble == "unsafe" else punsafe,
        pwatermark=0.97 if trouble == "watermark" else watermark,
        aesthetic=_score(5.0, rng, number),
    )


def _score(base: float, rng: Rng, number: int) -> float:
    """An aesthetic score: the first decimal is random, the others make it unique."""
    return round(base + int(rng.integers(15)) / 10 + number * 1e-7, 7)


def _path(number: int, trouble: str) -> str:
    match trouble:
        case "no url":
            return ""
        case "bad url":
            return f"ftp://files.example/{number}.jpg"
        case "private address":
            return _PRIVATE[number % len(_PRIVATE)].format(number)
        case _:
            return f"/i/{number:06d}.{_EXTENSION.get(trouble, 'jpg')}"


def _claimed(shown: Scene, trouble: str) -> tuple[int | None, int | None]:
    match trouble:
        case "claimed sizes swapped":
            return shown.height, shown.width
        case "claimed sizes null" | "too small" | "extreme aspect" | "too many pixels":
            return None, None
        case "claimed too small":
            return 120, 90
        case "claimed extreme aspect":
            return 1600, 300
        case _:
            return shown.width, shown.height


def _copies(rng: Rng, seed: int, originals: list[Page], left_out: set[str]) -> list[Page]:
    plain = [p for p in originals if p.trouble == "none"]
    plain = [plain[int(i)] for i in rng.permutation(len(plain))]
    found: list[Page] = []
    for kind, share in COPIES.items():
        for i in range(0 if kind in left_out else max(1, round(share * len(originals)))):
            if not plain:
                return found
            found.append(_copy(rng, seed, plain.pop(), kind, len(originals) + len(found), i))
    return found


def _copy(rng: Rng, seed: int, of: Page, kind: str, number: int, turn: int) -> Page:
    if kind == "repeated row":
        return dataclasses.replace(of, number=number, trouble=kind, copy_of=of.number)
    shown = scene(seed, of.scene)
    text = web_alt_text(shown, rng)
    how = None
    if kind == "near duplicate":
        roomy = min(shown.width, shown.height) >= 410
        how = NEAR[turn % (len(NEAR) if roomy else len(NEAR) - 1)]
    return dataclasses.replace(
        of,
        number=number,
        path=f"/copy/{number:06d}.jpg",
        trouble=kind,
        alt_text=text.text,
        alt_category=text.category,
        aesthetic=_score(3.0, rng, number),
        copy_of=of.number,
        transformation=how,
    )

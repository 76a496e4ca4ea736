"""The expected fate of each row of the demo web, derived from its truth and not from the pipeline's code.

The fates hold for the default recipe with the demo web's address allowed, up to and with deduplication:
``kept`` means that the row goes on to the captioner.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pictures
from PIL import ImageOps

from curation.demo.files import Studio
from curation.demo.pages import Page
from curation.demo.truth import Scene
from curation.demo.world import scene
from schemas.ids import sample_id
from schemas.reasons import Fate, Reason

DISTANCE, CONFIRMED_DISTANCE, SECOND_DISTANCE = 0, 14, 54
TEXT_REPEATS = 10

_PLAN = {
    "no url": Reason.NO_URL,
    "claimed too small": Reason.CLAIMED_TOO_SMALL,
    "claimed extreme aspect": Reason.CLAIMED_ASPECT,
    "unsafe": Reason.UNSAFE,
    "watermark": Reason.WATERMARK,
}
_DOWNLOAD = {
    "404": Reason.HTTP_404,
    "410": Reason.HTTP_410,
    "always 500": Reason.HTTP_5XX,
    "redirect loop": Reason.TOO_MANY_REDIRECTS,
    "redirect to a private address": Reason.FORBIDDEN_ADDRESS,
    "private address": Reason.FORBIDDEN_ADDRESS,
    "bad url": Reason.BAD_URL,
    "endless": Reason.TIMEOUT,
    "truncated": Reason.TRUNCATED,
    "html": Reason.NOT_AN_IMAGE,
    "empty body": Reason.EMPTY_BODY,
    "noai header": Reason.OPTED_OUT,
    "tdm reservation": Reason.OPTED_OUT,
    "too small": Reason.TOO_SMALL,
    "extreme aspect": Reason.ASPECT,
    "too many pixels": Reason.TOO_MANY_PIXELS,
    "animated gif": Reason.ANIMATED,
}


@dataclass(frozen=True)
class TruthRow:
    """A row of the list, keyed by (source_file, source_row): what it shows and its expected fate.

    ``scene`` is the shown scene as JSON; ``copy_of`` the sample_id of the row whose picture this one copies.
    """

    source_file: str
    source_row: int
    sample_id: str
    url: str
    alt_text: str
    alt_category: str
    trouble: str
    transformation: str | None
    copy_of: str | None
    scene: str
    fate: Fate
    stage: str | None
    reason: Reason | None

    def shown(self) -> Scene:
        """The scene behind the row."""
        return Scene.from_json(self.scene)


def truth_rows(
    seed: int, listed: list[Page], urls: list[str], files: list[tuple[str, int]], studio: Studio
) -> list[TruthRow]:
    """One row for each page, in order; ``files`` names each one's source file and row."""
    ids = {p.number: sample_id(u, p.alt_text) for p, u in zip(listed, urls, strict=True)}
    fates = _fates(listed, studio)
    return [
        TruthRow(
            source_file=file,
            source_row=row,
            sample_id=ids[page.number],
            url=url,
            alt_text=page.alt_text,
            alt_category=page.alt_category,
            trouble=page.trouble,
            transformation=page.transformation,
            copy_of=ids[page.copy_of] if page.copy_of is not None else None,
            scene=scene(seed, page.scene).to_json(),
            fate=Fate.REJECTED if page.number in fates else Fate.KEPT,
            stage=fates[page.number][0] if page.number in fates else None,
            reason=fates[page.number][1] if page.number in fates else None,
        )
        for page, url, (file, row) in zip(listed, urls, files, strict=True)
    ]


def write_truth(path: Path, rows: list[TruthRow]) -> None:
    """JSON lines, one a row."""
    path.write_text("".join(json.dumps(dataclasses.asdict(r), sort_keys=True) + "\n" for r in rows))


def load_truth(path: Path) -> list[TruthRow]:
    """Reads what ``write_truth`` wrote."""
    found = []
    for line in path.read_text().splitlines():
        data = json.loads(line)
        reason = Reason(data["reason"]) if data["reason"] else None
        found.append(TruthRow(**{**data, "fate": Fate(data["fate"]), "reason": reason}))
    return found


def _fates(listed: list[Page], studio: Studio) -> dict[int, tuple[str, Reason]]:
    """The stage and reason that reject a page, by its number; pages without an entry are kept."""
    found: dict[int, tuple[str, Reason]] = {}
    seen: set[tuple[str, str]] = set()
    texts: Counter[str] = Counter()
    for page in listed:
        if page.trouble in _PLAN:
            found[page.number] = ("plan", _PLAN[page.trouble])
        elif (page.path, page.alt_text) in seen:
            found[page.number] = ("plan", Reason.REPEATED_ROW)
        else:
            seen.add((page.path, page.alt_text))
            texts[page.alt_text] += 1
            if page.alt_text.strip() and texts[page.alt_text] > TEXT_REPEATS:
                found[page.number] = ("plan", Reason.REPEATED_TEXT)
            elif page.trouble in _DOWNLOAD:
                found[page.number] = ("download", _DOWNLOAD[page.trouble])
    fetched = [p for p in listed if p.number not in found]
    found.update((number, ("dedupe", reason)) for number, reason in _duplicates(fetched, studio))
    return found


def _duplicates(fetched: list[Page], studio: Studio) -> list[tuple[int, Reason]]:
    """Greedy by priority (colour, more pixels as exported, the higher score), against every keeper so far."""
    seen = {p.number: _seen(studio.body(p)) for p in fetched}
    order = sorted(fetched, key=lambda p: (p.transformation == "grey", -seen[p.number][0], -p.aesthetic))
    keepers = np.zeros((len(order), 5), np.uint64)
    count = 0
    digests: set[str] = set()
    found = []
    for page in order:
        _, hashes, digest = seen[page.number]
        bits = np.bitwise_count(keepers[:count] ^ hashes).astype(int)
        first, second = bits[:, 0], bits[:, 1:].sum(axis=1)
        near = bool(((first <= DISTANCE) | ((first <= CONFIRMED_DISTANCE) & (second <= SECOND_DISTANCE))).any())
        if digest in digests:
            found.append((page.number, Reason.EXACT_DUPLICATE))
        elif near:
            found.append((page.number, Reason.NEAR_DUPLICATE))
        else:
            keepers[count] = hashes
            count += 1
        digests.add(digest)
    return found


def _seen(data: bytes) -> tuple[int, NDArray[np.uint64], str]:
    """Pixels as exported, pHash and its 256-bit form in five words, and sha256 of a file."""
    picture = Pictures.open(io.BytesIO(data))
    width, height = picture.size
    scale = min(1.0, 512 / min(width, height))
    whole = ImageOps.exif_transpose(picture).convert("RGBA")
    white = Pictures.new("RGBA", whole.size, (255, 255, 255, 255))
    flat = Pictures.alpha_composite(white, whole).convert("RGB")
    bits = [imagehash.phash(flat).hash, imagehash.phash(flat, hash_size=16, highfreq_factor=2).hash]
    hashes = np.frombuffer(np.packbits(np.concatenate([b.ravel() for b in bits])).tobytes(), np.uint64)
    return round(width * scale) * round(height * scale), hashes, hashlib.sha256(data).hexdigest()

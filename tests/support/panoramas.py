"""Whole runs over panoramas of the demo world, and a server that knows what they show.

python -m tests.support.panoramas ROOT SOURCE [KEY=VALUE …]
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from curation.caption.regions import cut
from curation.catalog import refresh
from curation.core.engines.local import LocalEngine
from curation.core.lock import hold
from curation.core.pipeline import Engine, Outcome
from curation.core.root import resolve_recipe, write_recipe
from curation.core.store import Store
from curation.demo.joining import joined
from curation.demo.judge import judge
from curation.demo.panorama import view
from curation.demo.panoramas import TRUTH, read_truth
from curation.demo.phrases import dense_caption, short_caption
from curation.demo.truth import Scene, generator
from curation.expand.geometry import parts, squares
from curation.products.expand import EXPANSION
from schemas.expand import ExpandImages, Parts, Windows
from schemas.ids import content_url, sample_id
from tests.support.chat_server import ChatServer

WINDOWS = Windows(share=1.0, most=5)
QUICK = (
    *("source.shard_rows=8", "export.shard_size=10", "export.val=0.2", "export.test=0.2", "download.workers=1"),
    *(f"windows.share={WINDOWS.share}", f"windows.most={WINDOWS.most}"),
)
REPEATED, CONTRADICTION = "3", "7"
"""By the last digit of the replies' hash: the second caption says again what a window shows, or contradicts."""
_STATEMENT = re.compile(r"<statement>(.*)</statement>")
_JOINED = "overlapping parts of one long picture"
_CAPTIONS = re.compile(r"<caption>(.*?)</caption>")
_OUT_OF_PLACE = ("under a night sky full of rain", "thick snow", "coral reef")
_NEW = (
    "A narrow path leads past two {colour} stones towards a low fence.",
    "A {colour} bench stands alone beside a heap of fallen branches.",
    "Three {colour} barrels lie in a row next to a wide wooden gate.",
)


def expand(root: str, source: str, settings: Sequence[str], engine: Engine | None = None) -> list[Outcome]:
    """Runs all steps to the end; returns every shard's outcome."""
    store = Store(root)
    recipe = resolve_recipe(ExpandImages, store, None, [*QUICK, *settings])
    steps = EXPANSION.ready(recipe, [source], store)
    seen: list[Outcome] = []
    with hold(store):
        write_recipe(store, recipe)
        for step in (s for s in steps if s.on):
            step.run(store, engine or LocalEngine(), seen.append)
    refresh(store)
    return seen


def asking(server: ChatServer) -> list[str]:
    """Settings that ask this server for everything."""
    return [
        setting
        for table in ("caption", "llm")
        for setting in (
            *(f"{table}.backend=server", f'{table}.endpoints=["{server.url}"]', f"{table}.model={server.model}"),
            *(f"{table}.retries=0", f"{table}.timeout=120"),
        )
    ]


def truthful(folder: Path, lie: str = "") -> Callable[[dict[str, Any]], str]:
    """A captioner that sees by looking up the bytes of what it is shown, and a language model that imagines and joins.

    ``lie`` stands at the end of each caption of a window. Asked about a statement, the captioner tells the truth.
    """
    known = dict(_known(folder))

    def reply(body: dict[str, Any]) -> str:
        parts = [p for m in body["messages"] for p in m["content"] if isinstance(p, dict)]
        said = " ".join(p["text"] for p in parts if "text" in p)
        urls = [p["image_url"]["url"] for p in parts if p["type"] == "image_url"]
        if urls:
            data = base64.b64decode(urls[0].partition(",")[2])
            shown = known.get(hashlib.sha256(data).hexdigest())
            if (statement := _STATEMENT.search(said)) is not None:
                return "yes" if _is_true(statement[1], shown) else "no"
            if shown is None:
                return "A grey square before a grey wall of nothing."
            return _told(*shown) if shown[1] else f"{_told(*shown)} {lie}".strip()
        if (asked := _STATEMENT.search(said)) is not None:
            return "yes" if any(word in asked[1] for word in _OUT_OF_PLACE) else "no"
        if _JOINED in said:
            return joined(_CAPTIONS.findall(said))
        if body.get("response_format", {}).get("json_schema", {}).get("name") != "ImaginedCaptions":
            return '{"honoured":true}'  # the probe before the run
        return imagined(said)

    return reply


def imagined(said: str) -> str:
    """Two new captions; for some questions the second one is as ``REPEATED`` and ``CONTRADICTION`` say."""
    digest = hashlib.sha256(said.encode()).digest()
    first, second = (t.format(colour="red" if digest[1] % 2 else "blue") for t in (_NEW[digest[0] % 2], _NEW[2]))
    match str(digest[2] % 10):
        case "3":
            second = re.sub(r"^\(1\) ", "", _CAPTIONS.findall(said)[-1]).partition(" (2)")[0]
        case "7":
            second = "An empty street lies under a night sky full of rain and smoke."
    return json.dumps({"captions": [first, second]})


def _is_true(statement: str, shown: tuple[Scene, bool] | None) -> bool:
    if shown is None:  # a picture by which a verifier is tried out
        return "bicycle" not in statement and "dog on" not in statement
    return not judge(shown[0], statement).false


def _told(shown: Scene, whole: bool) -> str:
    rng = generator(shown.seed, shown.index, 5)
    return short_caption(shown, rng) if whole else dense_caption(shown, rng)


def _known(folder: Path) -> list[tuple[str, tuple[Scene, bool]]]:
    """What each picture and each window shows, by the bytes that a model is sent."""
    truth = read_truth(folder / TRUTH)
    found: list[tuple[str, tuple[Scene, bool]]] = []
    for path in sorted((folder / "pictures").glob("*.jpg")):
        data = path.read_bytes()
        sha256 = hashlib.sha256(data).hexdigest()
        shown = truth[sha256]
        found.append((sha256, (shown, True)))
        sample = sample_id(content_url(sha256), path.with_suffix(".txt").read_text(encoding="utf-8"))
        windows = [square.box for square in squares(shown.width, shown.height, sample, WINDOWS)]
        for box in (*windows, *parts(shown.width, shown.height, Parts())):
            found.append((hashlib.sha256(cut(data, box)).hexdigest(), (view(shown, box), False)))
    return found


if __name__ == "__main__":
    told = sys.argv[1:]
    failed = [o for o in expand(told[0], told[1], told[2:]) if o.status == "failed"]
    for outcome in failed:
        print(outcome.table, outcome.shard, outcome.error)
    sys.exit(bool(failed))

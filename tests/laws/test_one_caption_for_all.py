"""A model that gives many different images the same caption is named on the card and at the end of the run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console

from curation.core.store import Store
from flows.summary import print_summary
from tests.support.chat_server import ChatServer
from tests.support.runs import refine

SAME = (
    "A large red circle stands in front of a pale green wall, and two small blue boxes lie "
    "on a brown floor to its left."
)


def test_one_caption_for_many_images_is_named(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    for n in range(9):
        small = np.random.default_rng(n).integers(0, 255, (6, 8, 3), dtype=np.uint8)
        picture = Image.fromarray(small).resize((320, 240), Image.Resampling.BICUBIC)
        picture.save(tmp_path / f"source/p{n}.png")
        (tmp_path / f"source/p{n}.txt").write_text(f"picture number {n}")
    server = ChatServer(reply=lambda body: SAME)
    server.start()
    try:
        settings = ["caption.backend=server", f'caption.endpoints=["{server.url}"]', f"caption.model={server.model}"]
        refine(str(tmp_path / "root"), str(tmp_path / "source"), [*settings, "export.val=0", "export.test=0"])
    finally:
        server.stop()
    store = Store(str(tmp_path / "root"))
    card = store.read("release/README.md").decode()
    assert "Repeated captions" in card and f"| 9 | `{SAME}` |" in card
    console = Console(record=True, width=200)
    print_summary(store, console)
    assert "9 different images have the same caption" in console.export_text()

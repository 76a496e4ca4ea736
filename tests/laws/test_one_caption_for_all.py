"""A model that gives many different images the same caption is named; with policy reject, none is released."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

from rich.console import Console

from curation.catalog import connect
from curation.core.store import Store
from flows.summary import print_summary
from tests.support.chat_server import ChatServer, chat_server
from tests.support.runs import counted, refine
from tests.support.verified import source as pictures

SAME = (
    "A large red circle stands in front of a pale green wall, and two small blue boxes lie "
    "on a brown floor to its left."
)


def test_one_caption_for_many_images_is_named(tmp_path: Path) -> None:
    pictures(tmp_path / "source", 9)
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


def reply(body: dict[str, Any]) -> str:
    """One dense caption for all pictures but the first two; short ones of their own, but for number 5 none of use."""
    said = " ".join(p["text"] for m in body["messages"] for p in m["content"] if isinstance(p, dict) and "text" in p)
    number = int(found[1]) if (found := re.search(r"picture number (\d+)", said)) else 99
    if body["max_tokens"] == SHORT_TOKENS:
        return "I cannot describe this." if number == 5 else f"A small blue box with the number {number}."
    return SAME if number >= 2 else f"{SAME} A yellow bird with the number {number} sits on the boxes."


SHORT_TOKENS = 77
PICTURES = 9


def settings(server: ChatServer, *more: str) -> list[str]:
    kinds = f'[{{kind="dense", prompt="dense"}}, {{kind="short", prompt="short", max_tokens={SHORT_TOKENS}}}]'
    model = ["caption.backend=server", f'caption.endpoints=["{server.url}"]', f"caption.model={server.model}"]
    limits = ["caption_repeats.max_images=4", "source.shard_rows=4", "export.val=0", "export.test=0"]
    return [*model, f"caption.kinds={kinds}", *limits, *more]


def released(root: Path) -> dict[str, tuple[str, str]]:
    query = "SELECT alt_text, p.caption_kind, p.caption FROM placements p SEMI JOIN released USING (sample_id)"
    return {alt: (kind, caption) for alt, kind, caption in connect(str(root)).execute(query).fetchall()}


def asked(server: ChatServer) -> set[str]:
    return {str(body) for body in server.asked if "picture number" in str(body)}


def test_a_shared_caption_gives_way_to_the_next_kind_and_a_grown_root_ends_alike(tmp_path: Path) -> None:
    at_once, grown, recorded = tmp_path / "at_once", tmp_path / "grown", tmp_path / "recorded"
    source = pictures(tmp_path / "source", PICTURES)
    with chat_server(reply=reply) as server:
        refine(str(recorded), str(source), settings(server))
        before = asked(server)
        shutil.copytree(recorded, at_once)
        refine(str(at_once), str(source), settings(server, "caption_repeats.policy=reject"))
        assert asked(server) == before  # a changed policy asks for nothing
        growing = pictures(tmp_path / "growing", 5)
        refine(str(grown), str(growing), settings(server, "caption_repeats.policy=reject"))
        first = released(grown)
        shutil.rmtree(growing)
        refine(str(grown), str(pictures(growing, PICTURES)), settings(server, "caption_repeats.policy=reject"))

    assert {kind for kind, _ in released(recorded).values()} == {"dense"} and len(released(recorded)) == PICTURES
    card = Store(str(recorded)).read("release/README.md").decode()
    assert "7 captions share their text with more than 4 different images" in card and "they were recorded" in card
    # The first five pictures have three of the same caption, which is within the limit.
    assert {kind for kind, _ in first.values()} == {"dense"} and len(first) == 5
    assert released(grown) == released(at_once)
    kinds = {alt: kind for alt, (kind, _) in released(at_once).items()}
    own = {f"picture number {n}": "dense" if n < 2 else "short" for n in range(PICTURES) if n != 5}
    assert kinds == own
    views = connect(str(at_once))
    (lost,) = views.execute("SELECT alt_text, stage, reason, detail FROM samples WHERE fate = 'rejected'").fetchall()
    assert lost[:3] == ("picture number 5", "caption_repeats", "repeated_caption")
    assert lost[3].startswith("7 images: a large red circle")
    # Nor does the shared caption stand beside the released one.
    texts = views.execute("SELECT captions FROM placements").fetchall()
    assert len(texts) == 8 and sum("dense" in captions for (captions,) in texts) == 2
    card = Store(str(at_once)).read("release/README.md").decode()
    # Of nine dense captions all begin alike; of nine short ones, one is a refusal.
    assert (
        "| 9 | `a large red` | 100.0% | 100.0% | 1 |" in card and "| 8 | `a small blue` | 100.0% | 100.0% | 1 |" in card
    )
    found = views.execute("SELECT kind, replies, captions, distinct_openings FROM caption_quality").fetchall()
    assert found == [("dense", 9, 9, 1), ("short", 9, 8, 1)]
    assert "none of them was released" in card and "| caption_repeats | rejected | repeated_caption | 1 |" in card
    assert counted(str(at_once)).ok and counted(str(grown)).ok

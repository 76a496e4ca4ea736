"""What people decided reaches the release of every product by its next run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from curation.core.store import Store
from curation.demo.panoramas import write_panoramas
from tests.support.chat_server import chat_server
from tests.support.decided import decide, released
from tests.support.news import anchor, newsroom
from tests.support.panoramas import asking, expand, truthful
from tests.support.runs import counted

EDITED = "A red kite over a pond; nobody is in it."


def check(store: Store, run: Callable[[], object], kind: str | None = None) -> None:
    """One of the released is rejected, another's caption of a kind edited, and the rejection undone in the end."""
    run()
    before = released(store)
    gone, edited, *_ = sorted(before)
    rejection = decide(store, gone, "reject", reason="false_statement")
    if kind is not None:
        decide(store, edited, "edit", after=EDITED, kind=kind, words=10, clip_tokens=13)
    run()
    after = released(store)
    assert after.keys() == before.keys() - {gone}
    assert {n for n in after if after[n] != before[n]} == ({edited} if kind else set())
    assert kind is None or after[edited][0] == EDITED
    decide(store, gone, "undo", undoes=rejection)
    run()
    assert released(store) == after | {gone: before[gone]}
    assert counted(store.url).ok


def test_in_a_news_root_whose_captions_are_not_edited(tmp_path: Path) -> None:
    source = newsroom(tmp_path / "newsroom", 20)
    root = str(tmp_path / "root")
    check(Store(root), lambda: anchor(root, source))


def test_in_a_root_of_expansion_data(tmp_path: Path) -> None:
    write_panoramas(tmp_path, seed=3, count=6, tiles=6)
    root = str(tmp_path / "root")
    with chat_server(reply=truthful(tmp_path)) as server:
        check(Store(root), lambda: expand(root, str(tmp_path / "pictures"), asking(server)), "global")

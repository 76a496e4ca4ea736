"""What was journalled is known again, whatever became of the writer."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.caption.model.chat import ChatReply
from curation.caption.model.ledger import Ledger
from curation.core.errors import StoreError
from curation.core.store import Store
from schemas.reasons import Reason


def reply(key: str, text: str = "said") -> ChatReply:
    return ChatReply(key, text, finish="stop", tokens_in=3, tokens_out=5, seconds=0.25)


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return Store(str(tmp_path) if request.param == "local" else f"memory://{tmp_path.name}-{request.node.name}")


def test_replies_are_known_again(store: Store) -> None:
    with Ledger(store, "a") as ledger:
        ledger.add([reply("1")])
        ledger.add([reply("2", "über\n日本"), reply("3")])
        assert ledger.get("2") == reply("2", "über\n日本")
    again = Ledger(store, "a")
    assert [again.get(k) for k in "123"] == [reply("1"), reply("2", "über\n日本"), reply("3")]
    assert again.get("4") is None
    assert len(Ledger(store, "b")) == 0


def test_many_sessions_and_chunks_add_up(store: Store) -> None:
    for session in range(3):
        with Ledger(store, "a") as ledger:
            assert len(ledger) == session * 100
            for i in range(100):
                ledger.add([reply(f"{session}-{i}")])
    assert len(Ledger(store, "a")) == 300


def test_replies_that_cannot_be_used_are_known_again_with_what_they_cost(store: Store) -> None:
    bad = ChatReply("1", None, Reason.INVALID_REPLY, "no JSON", "length", 3, 5, 0.25, "Sure! über\n")
    empty = ChatReply("2", None, Reason.INVALID_REPLY, "an empty reply", "stop", 3, 0, 0.25, "")
    with Ledger(store, "a") as ledger:
        ledger.add([bad, reply("3"), empty])
        assert ledger.get("1") == bad
    again = Ledger(store, "a")
    assert [again.get(k) for k in "123"] == [bad, empty, reply("3")]


def test_failures_are_not_journalled(store: Store) -> None:
    with Ledger(store, "a") as ledger:
        ledger.add([ChatReply("1", None, Reason.MODEL_ERROR, "busy")])
    assert Ledger(store, "a").get("1") is None


def test_a_reply_is_on_disk_before_the_next_is_asked_for(tmp_path: Path) -> None:
    ledger = Ledger(Store(str(tmp_path)), "a")
    ledger.add([reply("1")])
    assert Ledger(Store(str(tmp_path)), "a").get("1") == reply("1")
    ledger.close()


@given(cut=st.integers(min_value=1, max_value=400))
def test_a_torn_line_costs_its_own_replies_only(cut: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("torn")
    with Ledger(Store(str(root)), "a") as ledger:
        for i in range(5):
            ledger.add([reply(f"{i}a"), reply(f"{i}b")])
    path = root / "replies" / "a.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    survivors = whole[:-cut].count(b"\n")
    with Ledger(Store(str(root)), "a") as ledger:
        known = [i for i in range(5) if ledger.get(f"{i}a")]
        assert known[:survivors] == list(range(survivors))
        assert all((ledger.get(f"{i}a") is None) == (ledger.get(f"{i}b") is None) for i in range(5))
        ledger.add([reply("new")])
    again = Ledger(Store(str(root)), "a")
    assert again.get("new") == reply("new")
    assert [i for i in range(5) if again.get(f"{i}a")] == known


def test_foreign_lines_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "replies" / "a.jsonl"
    path.parent.mkdir()
    path.write_bytes(b'\x00\xff\n{}\n[1]\n[{"key": "1"}]\nnull\n"x"\n')
    assert len(Ledger(Store(str(tmp_path)), "a")) == 0


def test_a_place_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "replies").write_text("a file where a folder belongs")
    with pytest.raises(StoreError, match="cannot write"):
        Ledger(Store(str(tmp_path)), "a").add([reply("1")])


def test_a_text_that_a_disk_changed_is_not_taken_for_what_was_said(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    unusable = ChatReply("3", None, Reason.REFUSAL, "no", "stop", 3, 5, 0.25, "I cannot")
    with Ledger(store, "a") as ledger:
        ledger.add([reply("1", "a red ball"), replace(reply("2", "a blue ball"), probability=0.3), unusable])
    journal = tmp_path / "replies" / "a.jsonl"
    journal.write_bytes(journal.read_bytes().replace(b"a blue ball", b"a blue bell"))
    again = Ledger(store, "a")
    assert (again.get("1"), again.get("2"), again.get("3")) == (reply("1", "a red ball"), None, unusable)


def test_journals_of_former_releases_have_no_checksum(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    with Ledger(store, "a") as ledger:
        ledger.add([reply("1", "a red ball")])
    journal = tmp_path / "replies" / "a.jsonl"
    (said,) = json.loads(journal.read_text())
    assert said.pop("crc32")
    journal.write_text(json.dumps([said]) + "\n")
    assert Ledger(store, "a").get("1") == reply("1", "a red ball")

"""Tokens, seconds and money of every reply, told from the journal and paid for once."""

from __future__ import annotations

from pathlib import Path

import pytest

from curation.caption.model.chat import ChatReply
from curation.caption.model.ledger import Ledger
from curation.catalog import connect
from curation.core.recipes import load, to_toml
from curation.core.store import Store
from schemas.arrow import Record, table_of
from schemas.captions import Caption
from schemas.manifest import ShardEntry
from schemas.reasons import Reason
from schemas.records import SourceRow
from schemas.refine import RefineLaion

SHARD = "part-00000"


def caption(sample_id: str, kind: str, key: str) -> Caption:
    return Caption(sample_id, kind, "words", None, None, "stop", "p@1", "m", "r", key, 100, 50)


def root(folder: Path, *settings: str) -> Store:
    """Three samples, of which two share a reply."""
    store = Store(str(folder))
    store.write("recipe.toml", to_toml(load(RefineLaion, None, settings)))
    rows = [
        caption("a", "dense", "k1"),
        caption("b", "dense", "k1"),
        caption("c", "dense", "k2"),
        caption("c", "short", "k3"),
    ]
    tables: list[tuple[type[Record], list[Caption]]] = [(Caption, rows), (SourceRow, [])]
    for record, part in tables:
        sha, size = store.write_table(record, SHARD, table_of(record, part))
        file = store.table_file(record.table, SHARD)
        store.commit(ShardEntry(record.table, SHARD, "d", {}, {file: sha}, 0, 0, size, 0.0, "t"))
    with Ledger(store, SHARD) as ledger:
        for number, key in enumerate(("k1", "k2", "k3", "nobody's")):
            ledger.add([ChatReply(key, "words", None, None, "stop", 100, 50, seconds=float(number + 1))])
    return store


def test_replies_are_told_once_torn_and_doubled_lines_or_not(tmp_path: Path) -> None:
    store = root(tmp_path)
    file = tmp_path / "replies" / f"{SHARD}.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole + whole.splitlines(keepends=True)[0] + b'[{"key": "torn", "te\n{"key": "odd"}\n[1, 2]\n[{}]')
    with connect(store.url) as catalog:
        found = catalog.execute("SELECT key, tokens_in, seconds FROM replies ORDER BY key").fetchall()
    assert found == [("k1", 100, 1.0), ("k2", 100, 2.0), ("k3", 100, 3.0), ("nobody's", 100, 4.0)]


def test_a_shared_reply_is_paid_for_once(tmp_path: Path) -> None:
    store = root(tmp_path, "caption.price_in=2.0", "caption.price_out=10.0")
    with connect(store.url) as catalog:
        found = catalog.execute(
            "SELECT kind, captions, replies, tokens_in, tokens_out, seconds, cost FROM costs"
        ).fetchall()
    assert found == [
        ("dense", 3, 2, 200, 100, 3.0, pytest.approx((200 * 2 + 100 * 10) / 1e6)),
        ("short", 1, 1, 100, 50, 3.0, pytest.approx((100 * 2 + 50 * 10) / 1e6)),
    ]


def test_a_reply_that_cannot_be_used_costs_what_it_took(tmp_path: Path) -> None:
    store = root(tmp_path, "caption.price_in=2.0", "caption.price_out=10.0")
    keys = {"a": "k1", "c": "k2", "d": "bad", "e": "bad"}  # two samples share the reply
    rows = [caption(sample, "dense", key) for sample, key in keys.items()]
    sha, size = store.write_table(Caption, SHARD, table_of(Caption, rows))
    file = store.table_file("captions", SHARD)
    store.commit(ShardEntry("captions", SHARD, "d", {}, {file: sha}, 0, 0, size, 0.0, "t"))
    bad = ChatReply("bad", None, Reason.INVALID_REPLY, "no JSON; the reply begins “Sure”", "stop", 70, 30, 9.0, "Sure")
    with Ledger(store, SHARD) as ledger:
        ledger.add([bad])
    with connect(store.url) as catalog:
        found = catalog.execute(
            "SELECT captions, replies, invalid, tokens_in, tokens_out, seconds FROM costs WHERE kind = 'dense'"
        ).fetchall()
        kept = catalog.execute("SELECT text, reason, detail, said FROM replies WHERE key = 'bad'").fetchall()
    assert found == [(2, 3, 1, 270, 130, 12.0)]
    assert kept == [(None, "invalid_reply", bad.detail, "Sure")]


def test_a_gpu_hour_is_shared_by_what_is_in_flight(tmp_path: Path) -> None:
    settings = (
        "caption.backend=server",
        'caption.endpoints=["http://127.0.0.1:1/v1"]',
        "caption.concurrency=4",
        "caption.serve.tensor_parallel=2",
        "caption.price_hour=3.0",
    )
    with connect(root(tmp_path, *settings).url) as catalog:
        found = dict(catalog.execute("SELECT kind, (machine_seconds, cost) FROM costs").fetchall())
    assert found["dense"] == (3.0 / 4, pytest.approx(3.0 / 4 / 3600 * 2 * 3.0))


def test_nothing_kept_costs_nothing_a_kept_caption_but_is_told(tmp_path: Path) -> None:
    with connect(root(tmp_path).url) as catalog:
        assert catalog.execute("SELECT kept, cost, cost_per_kept FROM costs WHERE kind = 'dense'").fetchall() == [
            (0, 0.0, None)
        ]


def test_a_root_without_replies_has_empty_views(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    store.write("recipe.toml", b"")
    with connect(store.url) as catalog:
        assert catalog.execute("SELECT count(*) FROM replies").fetchall() == [(0,)]
        assert catalog.execute("SELECT count(*) FROM costs").fetchall() == [(0,)]
        undocumented = catalog.execute(
            """SELECT "view", "column" FROM docs WHERE doc IS NULL AND "view" IN ('replies', 'prices', 'costs')"""
        ).fetchall()
    assert undocumented == []


def test_the_journal_is_read_whatever_the_text_of_a_reply(tmp_path: Path) -> None:
    store = root(tmp_path)
    odd = 'line\nbreak "quote" \\ \u2028 [{"key": "x"}] \x00 🙂'
    with Ledger(store, SHARD) as ledger:
        ledger.add([ChatReply("odd", odd, None, None, "stop", 1, 1, seconds=0.25)])
    with connect(store.url) as catalog:
        assert catalog.execute("SELECT text FROM replies WHERE key = 'odd'").fetchall() == [(odd,)]

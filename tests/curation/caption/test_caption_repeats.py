"""Captions and openings that too many images share: what is found, and that order and growth do not matter."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from curation.caption import caption_repeats_stage
from curation.caption.caption_repeats_stage import CaptionRepeatReduce
from curation.caption.check.repeated import opening_key, text_key
from curation.core.pipeline import run_reduce
from curation.core.store import Store
from schemas.arrow import Record, columns, rows_of, table_of
from schemas.captions import CaptionCheck, CaptionRepeat, VerifiedCaption
from schemas.manifest import ShardEntry
from schemas.records import ImageRow, SourceRow

WORDS = ("A large red circle stands in front of", "a pale green wall, and a small blue box lies beside it.")
SAME = " ".join(WORDS)
OPENING = WORDS[0].lower()
Row = tuple[str, str, str]  # sample_id, caption, image

_PLAIN = {"int64": 0, "int32": 0, "bool": False, "string": "", "double": 0.0, "float": 0.0, "uint64": 0}


def filled(record: type[Record], rows: Sequence[dict[str, object]]) -> pa.Table:
    """Rows of a record in which what is not given is null, or nought where null is not allowed."""
    blank = {
        c.name: None if c.nullable else [] if pa.types.is_list(c.arrow) else _PLAIN.get(str(c.arrow), b"\0" * 32)
        for c in columns(record)
    }
    return table_of(record, [record(**(blank | row)) for row in rows])


def commit(store: Store, record: type[Record], shard: str, table: pa.Table) -> None:
    sha, size = store.write_table(record, shard, table)
    store.commit(
        ShardEntry(
            table=record.table,
            shard=shard,
            digest="by hand",
            reads={},
            writes={store.table_file(record.table, shard): sha},
            rows_in=table.num_rows,
            rows_out=table.num_rows,
            bytes_out=size,
            seconds=0.0,
            worker="test",
        )
    )


def add(store: Store, shard: str, rows: Sequence[Row], *, passed: bool = True, kind: str = "dense") -> None:
    """A shard of captions, as the check leaves them, beside the counts of an alt text."""
    commit(store, SourceRow, shard, filled(SourceRow, [{"sample_id": s} for s, _, _ in rows]))
    commit(store, ImageRow, shard, filled(ImageRow, [{"sample_id": s, "sha256": i} for s, _, i in rows]))
    checks: list[dict[str, object]] = []
    for sample, caption, _ in rows:
        checks.append({"sample_id": sample, "kind": "alt_text", "caption": SAME, "passed": False})
        checks.append({"sample_id": sample, "kind": kind, "caption": caption, "passed": passed})
    commit(store, CaptionCheck, shard, filled(CaptionCheck, checks))


def find(store: Store, images: int = 3, openings: int = 5, *, verified: bool = False) -> list[CaptionRepeat]:
    run_reduce(store, CaptionRepeatReduce(images, openings, verified), lambda _: None)
    return [
        row
        for shard in sorted(store.entries(CaptionRepeat.table))
        for row in rows_of(CaptionRepeat, store.read_table(CaptionRepeat, shard))
    ]


def same(n: int, caption: str = SAME, first: int = 0) -> list[Row]:
    return [(f"s{first + k:03}", caption, f"image {first + k}") for k in range(n)]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "root"))


def test_one_caption_under_more_images_than_the_limit_is_found_under_all_of_them(store: Store) -> None:
    add(store, "a", same(2))
    add(store, "b", [*same(2, SAME.upper().replace(",", " –"), first=2), ("s9", "Something else entirely.", "image 9")])
    key = f"{OPENING} a pale green wall and a small blue box lies beside it"
    assert find(store) == [CaptionRepeat(f"s{n:03}", "dense", "caption", key, 4) for n in range(4)]
    assert find(store, images=4) == []


def test_one_opening_has_a_limit_of_its_own(store: Store) -> None:
    rows = [(f"s{n}", f"{WORDS[0]} house number {n}.", f"image {n}") for n in range(6)]
    add(store, "a", [*rows, ("s6", "A large red circle stands.", "image 6")])
    assert find(store) == [CaptionRepeat(f"s{n}", "dense", "opening", OPENING, 6) for n in range(6)]
    assert find(store, openings=6) == []
    assert find(store, openings=0) == []


def test_a_whole_caption_goes_before_its_opening(store: Store) -> None:
    add(store, "a", [*same(6), *((f"t{n}", f"{WORDS[0]} tree {n}", f"image t{n}") for n in range(2))])
    assert [(r.shared, r.images) for r in find(store)] == [("caption", 6)] * 6 + [("opening", 8)] * 2


@pytest.mark.parametrize("case", ["one image", "not passed", "below", "no limits", "blank"])
def test_what_is_no_fault_is_not_found(store: Store, case: str) -> None:
    rows = [(f"s{n}", SAME, "image") for n in range(9)] if case == "one image" else same(3 if case == "below" else 9)
    if case == "blank":
        rows = same(9, " … ")
    add(store, "a", rows, passed=case != "not passed")
    limits = (0, 0) if case == "no limits" else (3, 5)
    assert find(store, *limits) == []


def test_what_verification_left_of_a_caption_counts(store: Store) -> None:
    add(store, "a", [(f"s{n}", f"{SAME} Beside it sits bird number {n}.", f"image {n}") for n in range(5)])
    assert find(store, openings=0, verified=True) == []
    cut = [{"sample_id": f"s{n}", "kind": "dense", "caption": SAME, "passed": n > 0} for n in range(5)]
    commit(store, VerifiedCaption, "a", filled(VerifiedCaption, cut))
    assert [(r.sample_id, r.images) for r in find(store, openings=0, verified=True)] == [
        (f"s{n}", 4) for n in range(1, 5)
    ]


def tables(store: Store) -> dict[str, bytes]:
    names = (store.table_file(CaptionRepeat.table, s) for s in store.entries(CaptionRepeat.table))
    return {name: store.read(name) for name in names}


def test_a_root_that_grew_finds_what_a_root_made_at_once_finds(tmp_path: Path) -> None:
    shards = {"a": same(3), "b": same(3, first=3), "c": [("t", "A caption of its own.", "image t")]}
    made: list[dict[str, bytes]] = []
    for number, order in enumerate(itertools.permutations(shards)):
        grown = Store(str(tmp_path / str(number)))
        for shard in order:
            add(grown, shard, shards[shard])
            find(grown)
        made.append(tables(grown))
    assert all(m == made[0] for m in made) and len(made[0]) == 3


def test_a_reduce_that_was_killed_ends_like_one_that_was_left_alone(tmp_path: Path) -> None:
    whole, torn = Store(str(tmp_path / "whole")), Store(str(tmp_path / "torn"))
    for store in (whole, torn):
        for shard in "abc":
            add(store, shard, same(3, first=3 * ord(shard)))
    find(whole)

    class Killed(BaseException):
        pass

    def kill(_: object) -> None:
        raise Killed

    with pytest.raises(Killed):
        run_reduce(torn, CaptionRepeatReduce(3, 5), kill)
    assert len(tables(torn)) == 1
    find(torn)
    assert tables(torn) == tables(whole)


@pytest.mark.parametrize(
    ("text", "opening"),
    [
        ("A large RED circle, stands; in front of a wall", "a large red circle stands in front of"),
        ("one two three four five six seven", None),
        ("one two three four five six seven eight", "one two three four five six seven eight"),
        ("“One\u00a0two”\nthree—four five six seven eight nine", "one two three four five six seven eight"),
        ("एक बड़ा लाल वृत्त हरी दीवार के सामने खड़ा है", "एक बड़ा लाल वृत्त हरी दीवार के सामने"),
        ("这张图片展示了一个红色的圆圈在绿色墙壁的前面", "这张 图片 展示 了一 个红 色的 圆圈 在绿"),
        ("Это большой красный круг перед зелёной стеной у дома", "это большой красный круг перед зелёной стеной у"),
        ("… — !", None),
        ("", None),
    ],
)
def test_an_opening_is_eight_words_in_any_script(text: str, opening: str | None) -> None:
    query = f"SELECT {opening_key('t', 8, 8)} FROM (SELECT ? AS t)"
    with duckdb.connect() as connection:
        assert connection.execute(query, [text]).fetchone() == (opening,)


def test_different_texts_have_different_keys() -> None:
    texts = [f"{SAME} {hashlib.md5(bytes([n])).hexdigest()}" for n in range(50)]
    with duckdb.connect() as connection:
        found = {connection.execute(f"SELECT {text_key('t')} FROM (SELECT ? AS t)", [t]).fetchone() for t in texts}
    assert len(found) == 50


def test_a_run_over_more_captions_reads_the_new_shards_alone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """And those in which something repeats, which it says the texts of."""
    for n in range(30):
        add(store, f"old-{n:02d}", [(f"a{n}", f"The picture {n} shows what no other one shows.", f"i{n}")])
    for n in range(4):
        add(store, f"same-{n}", [(f"b{n}", SAME, f"j{n}")])
    assert len(find(store)) == 4
    read: list[str] = []
    columns_of = caption_repeats_stage._columns

    def noted(store: Store, record: type[Record] | None, shard: str, columns: list[str]) -> pa.Table:
        read.append(shard)
        return columns_of(store, record, shard, columns)

    monkeypatch.setattr(caption_repeats_stage, "_columns", noted)
    add(store, "new", [("c", SAME, "k")])
    assert len(find(store)) == 5
    assert set(read) == {"new", *(f"same-{n}" for n in range(4))}

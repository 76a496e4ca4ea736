"""Gathered rows are those of the shards as they are, whatever becomes of the files that hold them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pytest

from curation.core.gathered import COLUMN, FEWEST, FOLDER, Gathered, kept_rows
from curation.core.store import Store
from schemas.arrays import strings

NAME = "numbers"


def keys_of(shards: int, changed: Sequence[int] = ()) -> dict[str, str]:
    return {f"shard-{n:05d}": f"{n} as {'changed' if n in changed else 'it was'}" for n in range(shards)}


def look(store: Store, keys: dict[str, str]) -> tuple[dict[str, list[str]], list[str]]:
    """The rows of each shard, and which shards were made for that; a shard has two rows that say its key."""
    made: list[str] = []

    def make(lacking: Sequence[str]) -> Iterator[tuple[str, pa.Table]]:
        for shard in lacking:
            made.append(shard)
            yield shard, pa.table({"key": [keys[shard]] * 2})

    found: dict[str, list[str]] = {}
    for rows in kept_rows(store, NAME, keys, make):
        for shard, key in zip(strings(rows[COLUMN]), strings(rows["key"]), strict=True):
            found.setdefault(shard, []).append(key)
    assert found == {shard: [key] * 2 for shard, key in keys.items()}, "each shard once, as its key is now"
    return found, made


def files(store: Store) -> list[Path]:
    return sorted(Path(store.path(f"{FOLDER}/{NAME}")).glob("*"))


def test_only_what_is_new_or_has_changed_is_made_again(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    assert len(look(store, keys_of(40))[1]) == 40
    assert look(store, keys_of(40))[1] == []
    assert look(store, keys_of(43, changed=[7]))[1] == ["shard-00007", "shard-00040", "shard-00041", "shard-00042"]
    assert look(store, keys_of(30))[1] == [], "what is as it was before is known again, what is gone is left out"


@pytest.mark.parametrize("how", ("a byte changed", "cut", "empty", "gone"))
def test_a_damaged_file_costs_time_alone(tmp_path: Path, how: str) -> None:
    store, keys = Store(str(tmp_path)), keys_of(40)
    look(store, keys)
    (file,) = files(store)
    data = file.read_bytes()
    damaged = {"a byte changed": data[:99] + bytes([data[99] ^ 1]) + data[100:], "cut": data[:-9], "empty": b""}
    file.unlink()
    if how != "gone":
        file.with_name(f"00000007-{file.name.partition('-')[2]}").write_bytes(damaged[how])  # as a new process reads it
    assert len(look(store, keys)[1]) == 40
    assert look(store, keys)[1] == [] and len(files(store)) == 1, "the damaged one is gone"


def test_a_file_of_which_half_is_out_of_date_goes(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    look(store, keys_of(40))
    assert len(look(store, keys_of(40, changed=range(19)))[1]) == 19 and len(files(store)) == 2
    assert len(look(store, keys_of(40, changed=range(20)))[1]) == 21 and len(files(store)) == 2


def test_many_nights_leave_few_files(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    for night in range(60):
        assert len(look(store, keys_of(FEWEST + night))[1]) == (FEWEST if not night else 1)
        assert len(files(store)) <= 17


def test_a_small_root_gathers_nothing(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    assert len(look(store, keys_of(FEWEST - 1))[1]) == FEWEST - 1
    assert not Path(store.path(FOLDER)).exists()


def test_a_root_that_cannot_be_written_gives_the_same_rows(tmp_path: Path) -> None:
    store, keys = Store(str(tmp_path)), keys_of(40)
    (tmp_path / FOLDER).write_text("in the way")
    assert len(look(store, keys)[1]) == 40 and len(look(store, keys)[1]) == 40


def test_a_shard_in_two_files_counts_once(tmp_path: Path) -> None:
    """As a run leaves it that is killed while it makes one file of two."""
    store, keys = Store(str(tmp_path)), keys_of(40)
    look(store, keys)
    (file,) = files(store)
    file.with_name(f"00000002-{file.name.partition('-')[2]}").write_bytes(file.read_bytes())
    look(store, keys)
    assert [len(part.shards) for part in Gathered.of(store, NAME, keys).parts] == [40]

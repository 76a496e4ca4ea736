"""A dry run knows what is finished, and tells time, tokens and money of the rest."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from curation.core.engines.local import LocalEngine
from curation.core.store import Store
from curation.products.refine import LAION_REFINED
from flows.outlook import duration
from flows.product import _described
from flows.request import Request
from schemas.manifest import ShardEntry
from tests.support.runs import refine

SETTINGS = ("caption.backend=scripted", "source.shard_rows=4", "check.names=ignore")
FIRST = (
    *("repeats", "images", "duplicates", "captions", "caption_checks", "caption_repeats", "placements", "released"),
)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    add(folder, range(12))
    return folder


def add(folder: Path, numbers: range) -> None:
    for n in numbers:
        Image.effect_noise((300, 240), 20 + 3 * n).save(folder / f"p{n:03}.png")
        (folder / f"p{n:03}.txt").write_text(f"noise number {n} on a plain ground")


def told(source: Path, root: Path, *settings: str) -> str:
    request = Request("flows.refine_laion", (str(source),), str(root), None, (*SETTINGS, *settings), engine="local")
    before = sorted(p for p in root.rglob("*"))
    text = _described(LAION_REFINED, request)
    assert sorted(p for p in root.rglob("*")) == before, "a dry run touches nothing"
    return text


def to_do(text: str) -> dict[str, int]:
    """Rows to do by table; 0 for one that is finished."""
    found = {}
    for line in text.splitlines():
        words = ["rows" if word == "row" else word for word in line.replace(",", "").split()]
        if words[:1] and words[0] in FIRST:
            found[words[0]] = int(words[words.index("rows") - 1]) if "rows" in words else 0
    return found


def test_all_of_a_new_root_is_to_do_and_its_rates_are_guesses(source: Path, tmp_path: Path) -> None:
    text = told(source, tmp_path / "root", "caption.price_in=2", "caption.price_out=10")
    assert to_do(text) == dict.fromkeys(FIRST, 12)
    assert "a guess" in text and "measured" not in text
    # 12 prompts of a guessed 1,000 tokens, and at most 256 tokens each in reply
    assert "12,000 prompt and 3,072 reply tokens" in text and "about 0.05 by caption.price_in" in text


def test_one_row_is_one_row(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    add(tmp_path / "one", range(1))
    text = told(tmp_path / "one", tmp_path / "root")
    assert "1 row of " in text and "1 row to do at most" in text and "1 image within" in text
    assert not re.search(r"\b1 (rows|images)\b(?!/s)", text)


def test_candidates_and_their_statements_are_estimated_too(source: Path, tmp_path: Path) -> None:
    several = ("verify.enabled=true", "verify.samples=4", "caption.temperature=0.7", "verify.max_tokens=4")
    text = told(source, tmp_path / "root", *several)
    # 12 pictures with 4 captions each, and a guess of 6 statements a caption
    assert "48,000 prompt and 12,288 reply tokens" in text and "4 candidates of each kind" in text
    assert "288,000 prompt and 1,152 reply tokens" in text


def test_nothing_of_a_finished_root_is_to_do(source: Path, tmp_path: Path) -> None:
    refine(str(tmp_path / "root"), str(source), SETTINGS, LocalEngine())
    text = told(source, tmp_path / "root")
    assert to_do(text) == dict.fromkeys(FIRST, 0)
    assert "images          3 of 3 shards finished" in text and "tokens" not in text


def test_a_changed_prompt_leaves_downloads_alone(source: Path, tmp_path: Path) -> None:
    refine(str(tmp_path / "root"), str(source), SETTINGS, LocalEngine())
    rows = to_do(told(source, tmp_path / "root", "caption.kinds=[{kind='dense', prompt='dense', max_tokens=200}]"))
    assert (rows["images"], rows["duplicates"]) == (0, 0)
    assert (rows["captions"], rows["caption_checks"], rows["placements"]) == (12, 12, 12)


def test_a_source_that_has_grown_leaves_what_is_finished_alone(source: Path, tmp_path: Path) -> None:
    refine(str(tmp_path / "root"), str(source), SETTINGS, LocalEngine())
    add(source, range(100, 105))
    rows = to_do(told(source, tmp_path / "root"))
    assert (rows["images"], rows["captions"]) == (5, 5)


def test_another_list_in_the_same_root_is_all_to_do(source: Path, tmp_path: Path) -> None:
    refine(str(tmp_path / "root"), str(source), SETTINGS, LocalEngine())
    other = tmp_path / "other"
    other.mkdir()
    add(other, range(100, 107))
    text = told(other, tmp_path / "root")
    rows = to_do(text)
    # Nothing of the first list is fetched or captioned again; what sees whole tables sees both.
    assert (rows["images"], rows["captions"], rows["duplicates"]) == (7, 7, 19)
    assert "images          3 of 5 shards finished" in text and "again" not in text
    names = [f"p{n:03}.png" for n in range(100, 107)]
    pq.write_table(pa.table({"url": names, "text": names}), other / "list.parquet")
    text = told(other / "list.parquet", tmp_path / "root", "download.size=100", "download.min_side=50")
    assert to_do(text)["images"] == 7 and "again" not in text


def test_rows_that_replace_as_many_others_are_all_to_do(source: Path, tmp_path: Path) -> None:
    refine(str(tmp_path / "root"), str(source), SETTINGS, LocalEngine())
    for n in range(5):
        (source / f"p{n:03}.txt").write_text(f"another text on number {n}")
    rows = to_do(told(source, tmp_path / "root"))
    assert (rows["images"], rows["captions"]) == (5, 5)


def test_rows_that_a_loosened_filter_lets_through_are_to_do(source: Path, tmp_path: Path) -> None:
    (source / "p003.txt").write_text("short")
    refine(str(tmp_path / "root"), str(source), (*SETTINGS, "source.min_characters=10"), LocalEngine())
    assert to_do(told(source, tmp_path / "root", "source.min_characters=10"))["images"] == 0
    assert to_do(told(source, tmp_path / "root", "source.min_characters=0"))["images"] == 1


def test_a_changed_download_key_is_named_with_what_it_fetches_again(source: Path, tmp_path: Path) -> None:
    """What the source no longer holds stays as it is, and is not among that."""
    refine(str(tmp_path / "root"), str(source), SETTINGS, LocalEngine())
    for n in range(3):
        (source / f"p{n:03}.png").unlink()
        (source / f"p{n:03}.txt").unlink()
    refine(str(tmp_path / "root"), str(source), SETTINGS, LocalEngine())
    add(source, range(100, 102))
    text = told(source, tmp_path / "root", "download.size=100", "download.min_side=50")
    assert "again        9 rows in 3 shards that are stored, for download.min_side, download.size" in text
    assert to_do(text)["images"] == 11


def test_a_shard_that_is_missing_is_what_is_to_do(source: Path, tmp_path: Path) -> None:
    root = Store(str(tmp_path / "root"))
    refine(root.url, str(source), SETTINGS, LocalEngine())
    root.retire("captions", root.shards("captions")[0])
    rows = to_do(told(source, tmp_path / "root"))
    assert (rows["images"], rows["captions"], rows["caption_checks"]) == (0, 4, 4)


def test_time_follows_from_what_this_root_measured(source: Path, tmp_path: Path) -> None:
    root = Store(str(tmp_path / "root"))
    refine(root.url, str(source), SETTINGS, LocalEngine())
    for shard, entry in root.entries("captions").items():
        fields = json.loads(entry.to_json()) | {"seconds": 40.0}
        root.write(f"manifest/captions/{shard}.json", ShardEntry(**fields).to_json())
    root.retire("captions", root.shards("captions")[0])
    text = told(source, tmp_path / "root")
    # 4 rows, at 8 rows in 80 seconds
    assert "4 rows to do at most, about 40 s (1 worker at 0.1 rows/s, as measured in this root)" in text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (99, "99 s"), (600, "10 min"), (9000, "2.5 h"), (400_000, "4.6 days")]
)
def test_durations_are_spelled_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text

"""Folders of pictures that differ in colour alone, through the stages of a run: what goes, what stays, and why."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from curation.core.engines.local import LocalEngine
from curation.core.pipeline import run_reduce, run_segment
from curation.core.store import Store
from curation.dedupe.across.datasets import hash_pixels, open_data_set
from curation.dedupe.across.evaluation import Evaluation
from curation.dedupe.decide import rule_for
from curation.dedupe.gather import gathered
from curation.dedupe.reduce import DedupeReduce
from curation.fetch.download_stage import DownloadStage
from schemas.arrow import rows_of
from schemas.recipe import Decontamination, Dedupe, Download
from schemas.records import Colours, Duplicate, ImageRow, SourceRow
from tests.support.data_sets import root_of
from tests.support.recoloured import COLOURS, flat, grey, jpeg, logo, mug, png, shirt

QUIET = lambda outcome: None  # noqa: E731


def folder(path: Path, pictures: dict[str, Image.Image]) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures.items():
        (path / f"{name}.png").write_bytes(png(picture))
        (path / f"{name}.txt").write_text(name)
    return path


SHOP = {
    f"{kind.__name__} in {name}": kind(COLOURS[name])
    for kind in (shirt, mug, logo, flat)
    for name in ("red", "blue", "green")
}
COPIES = {f"grey {name}": grey(SHOP[name]) for name in ("shirt in blue", "mug in blue", "logo in blue")}


def decided(root: str, dedupe: Dedupe | None = None) -> dict[str, tuple[str | None, str]]:
    """Reason and the keeper's text, by text."""
    store = Store(root)
    run_reduce(store, DedupeReduce(dedupe or Dedupe()), QUIET)
    texts = texts_of(store)
    rows = [row for shard in shards(store) for row in rows_of(Duplicate, store.read_table(Duplicate, shard))]
    return {texts[row.sample_id]: (row.reason, texts[row.keeper_id]) for row in rows}


def texts_of(store: Store) -> dict[str, str]:
    tables = [store.read_table(SourceRow, shard) for shard in shards(store)]
    return {row.sample_id: row.alt_text for table in tables for row in rows_of(SourceRow, table)}


def shards(store: Store) -> list[str]:
    return store.shards(ImageRow.table)


@pytest.mark.parametrize("recipe", [{}, {"symmetries": True}, {"grey_copies": False}], ids=str)
def test_products_in_several_colours_and_flat_pictures_stay(recipe: dict[str, bool], tmp_path: Path) -> None:
    root = root_of(tmp_path / "root", str(folder(tmp_path / "shop", {**SHOP, **COPIES})))
    found = decided(root, Dedupe(**recipe))
    assert {name for name in SHOP if found[name][0] is not None} == set()
    if recipe.get("grey_copies", True):
        assert {found[name] for name in COPIES} == {("near_duplicate", name.removeprefix("grey ")) for name in COPIES}
    else:
        assert {found[name][0] for name in COPIES} == {None}


def test_copies_of_them_still_go(tmp_path: Path) -> None:
    source = folder(tmp_path / "shop", SHOP)
    for name in ("shirt in red", "mug in green", "flat in blue"):
        (source / f"copy of {name}.jpg").write_bytes(
            jpeg(SHOP[name].resize((250, 250 * SHOP[name].height // SHOP[name].width)))
        )
        (source / f"copy of {name}.txt").write_text(f"copy of {name}")
    found = decided(root_of(tmp_path / "root", str(source)))
    gone = {name: keeper for name, (reason, keeper) in found.items() if reason is not None}
    assert gone == {f"copy of {name}": name for name in ("shirt in red", "mug in green", "flat in blue")}


def test_a_recoloured_evaluation_item_rules_nothing_out(tmp_path: Path) -> None:
    store = Store(root_of(tmp_path / "root", str(folder(tmp_path / "shop", SHOP))))
    evaluation = folder(
        tmp_path / "evaluation", {"turned": SHOP["shirt in red"].rotate(90), "flat": flat((9, 200, 200))}
    )
    data_set = open_data_set(str(evaluation), Store(str(tmp_path / "hashes")))
    hash_pixels(data_set, LocalEngine(), QUIET)
    images = gathered(store, shards(store))
    seen = Evaluation.of([data_set], Decontamination()).seen(images, rule_for(Dedupe()))
    texts = texts_of(store)
    near = [texts[name] for name, place in zip(images.ids.to_pylist(), seen.place, strict=True) if place >= 0]
    assert near == ["shirt in red"]


def test_a_root_without_colours_is_not_fetched_again(tmp_path: Path) -> None:
    """Colours are a table beside ``images``, whose stage, digest and bytes stay what they were."""
    root = Store(root_of(tmp_path / "root", str(folder(tmp_path / "shop", SHOP))))
    for shard in shards(root):
        assert len(root.read_table(Colours, shard)) == len(root.read_table(ImageRow, shard))
        beside, entry = root.table_file(Colours.table, shard), f"manifest/images/{shard}.json"
        fields = json.loads(root.read(entry))
        assert fields["writes"].pop(beside)
        root.write(entry, json.dumps(fields).encode())
        root.remove(beside)
    done: list[str] = []
    run_segment(root, LocalEngine(), [DownloadStage(Download())], shards(root), lambda o: done.append(o.status))
    assert set(done) == {"skipped"}
    fields = decided(root.url)
    assert {name for name in fields if fields[name][0] is None} < set(SHOP), "by hash alone they are the same"
    assert not any("colours" in reads for reads in root.reduce_entry("duplicates").reads)  # type: ignore[union-attr]

"""What a whole run promises, on a web that serves real HTTP and knows the truth of every row."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import webdataset as wds

from curation.catalog import connect
from curation.core.engines.ray import RayEngine
from curation.core.store import Store
from curation.demo.fates import load_truth
from curation.demo.web import DemoWeb
from tests.laws.conftest import SLOW, Site
from tests.support.runs import RESULT, counted, quick, refine
from tests.support.toy import fingerprint


def test_every_row_ends_as_the_world_says(site: Site, undisturbed: Path) -> None:
    counts = counted(str(undisturbed))
    truth = {(row.source_file, row.source_row): row for row in load_truth(site.folder / "truth.jsonl")}
    assert counts.source == len(truth)
    with connect(str(undisturbed)) as catalog:
        found = catalog.execute(
            "SELECT source_file, source_row, sample_id, fate, stage, reason FROM samples"
        ).fetchall()
    assert {(f, r) for f, r, *_ in found} == truth.keys()
    for file, row, sample, fate, stage, reason in found:
        expected = truth[file, row]
        assert sample == expected.sample_id
        if expected.fate == "rejected":
            assert (fate, stage, reason) == ("rejected", expected.stage, expected.reason), expected
        else:
            assert stage in ("recaption", "check", "release"), (expected, stage, reason)


def test_no_private_address_was_contacted(site: Site, undisturbed: Path) -> None:
    assert undisturbed.is_dir()
    assert site.web.trapped == 0


def test_the_release_holds_what_the_catalog_says(undisturbed: Path) -> None:
    with connect(str(undisturbed)) as catalog:
        kept = dict(catalog.execute("SELECT sample_id, caption FROM samples WHERE fate = 'kept'").fetchall())
    found: dict[str, str] = {}
    for tar in sorted((undisturbed / "release").glob("*.tar")):
        for sample in wds.WebDataset(str(tar), shardshuffle=False):
            found[sample["__key__"]] = sample["txt"].decode()
            fields = json.loads(sample["json"])
            assert fields["sample_id"] == sample["__key__"]
            assert sample["jpg"][:2] == b"\xff\xd8"
    assert found == kept
    assert len(kept) > 20


def test_a_second_run_does_nothing_and_asks_nobody(site: Site, undisturbed: Path) -> None:
    before = fingerprint(Store(str(undisturbed)), *RESULT, "manifest")
    asked = sum(site.web.hits.values())
    outcomes = refine(str(undisturbed), site.source, site.settings)
    assert {o.status for o in outcomes} == {"skipped"}
    assert sum(site.web.hits.values()) == asked
    assert fingerprint(Store(str(undisturbed)), *RESULT, "manifest") == before


def test_the_same_input_gives_the_same_bytes_on_ray(
    site: Site, undisturbed: Path, ray_engine: RayEngine, tmp_path: Path
) -> None:
    refine(str(tmp_path / "root"), site.source, site.settings, ray_engine)
    assert fingerprint(Store(str(tmp_path / "root")), *RESULT) == fingerprint(Store(str(undisturbed)), *RESULT)


def test_a_changed_prompt_redoes_captions_and_what_follows_only(site: Site, undisturbed: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(undisturbed, root)
    prompt = tmp_path / "mine.md"
    prompt.write_text("---\nname: mine\nversion: 1\nabout: shorter\n---\nSay what is there.\n\n{alt_text}\n")
    asked = sum(site.web.hits.values())
    kinds = f'caption.kinds=[{{kind="dense", prompt="{prompt}"}}]'
    outcomes = refine(str(root), site.source, [*site.settings, kinds])
    redone = {o.table for o in outcomes if o.status == "done"}
    assert {"captions", "caption_checks"} <= redone
    assert redone.isdisjoint({"rows", "repeats", "images", "duplicates"})
    assert sum(site.web.hits.values()) == asked
    counted(str(root))


def test_a_changed_export_setting_asks_no_model(site: Site, undisturbed: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(undisturbed, root)
    journal = fingerprint(Store(str(root)), "replies")
    outcomes = refine(str(root), site.source, [*site.settings, "export.shard_size=7", "export.seed=5"])
    assert {o.table for o in outcomes if o.status == "done"} == {"placements", "released"}
    assert fingerprint(Store(str(root)), "replies") == journal
    counted(str(root))
    with connect(str(root)) as catalog:
        sizes = catalog.execute("SELECT count(*) FROM released GROUP BY shard ORDER BY shard").fetchall()
    assert max(n for (n,) in sizes) == 7


def test_a_source_that_grows_appends_and_leaves_what_was_released(tmp_path: Path) -> None:
    """Two of three parts first, then all three: old shards keep their bytes, and every row has a fate."""
    folder, seen = tmp_path / "all", tmp_path / "seen"
    with DemoWeb(seed=8, scenes=60, parts=3, without=SLOW) as web:
        parts = web.write(folder)
        seen.mkdir()
        settings = quick(web.host_port)
        for part in parts[1:]:
            shutil.copy2(part, seen / part.name)
        refine(str(tmp_path / "root"), f"{seen}/*.parquet", settings)
        root = Store(str(tmp_path / "root"))
        before = fingerprint(root, *RESULT)
        first = counted(root.url)
        shutil.copy2(parts[0], seen / parts[0].name)
        refine(root.url, f"{seen}/*.parquet", settings)
        counts = counted(root.url)
    after = fingerprint(root, *RESULT)
    assert counts.source == sum(pq.read_metadata(p).num_rows for p in parts)
    assert counts.kept > first.kept
    for name, sha in before.items():
        if name.startswith(("tables/", "images/")) or name.endswith(".tar"):
            assert after[name] == sha, f"{name} changed"


@pytest.mark.parametrize("broken", ["tables", "images"])
def test_lost_data_is_not_taken_for_finished(broken: str, site: Site, undisturbed: Path, tmp_path: Path) -> None:
    """Whoever deletes manifest entries of a table gets it back, byte for byte."""
    root = tmp_path / "root"
    shutil.copytree(undisturbed, root)
    table = "captions" if broken == "tables" else "images"
    shutil.rmtree(root / "manifest" / table)
    refine(str(root), site.source, site.settings)
    assert fingerprint(Store(str(root)), *RESULT) == fingerprint(Store(str(undisturbed)), *RESULT)

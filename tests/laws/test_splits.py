"""No split tells another's pictures: near duplicates stand in one, whether the recipe removes them or keeps them."""

from __future__ import annotations

from pathlib import Path

from curation.catalog import connect
from curation.demo.near import transformed
from curation.demo.render import jpeg, render
from curation.demo.world import scene
from tests.support.news import anchor, newsroom
from tests.support.runs import counted, refine

KEEPING = ["dedupe.enabled=false"]
QUICK = ["caption.backend=scripted", "source.shard_rows=10", "export.shard_size=8", "export.val=0.3", "export.test=0.3"]


def put(folder: Path, name: str, data: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.jpg").write_bytes(data)
    (folder / f"{name}.txt").write_text(f"{name} as it was found")


def splits_by_scene(root: Path) -> dict[str, set[str]]:
    with connect(str(root)) as catalog:
        found = catalog.execute("SELECT alt_text, split FROM placements").fetchall()
    splits: dict[str, set[str]] = {}
    for text, split in found:
        splits.setdefault(text.split()[0].rpartition("-")[2], set()).add(split)
    return splits


def test_duplicates_that_a_recipe_keeps_stand_in_one_split(tmp_path: Path) -> None:
    source, root = tmp_path / "source", tmp_path / "root"
    for n in range(12):
        put(source, f"a-{n}", jpeg(scene(31, n)))
        put(source, f"b-{n}", jpeg(scene(31, n)))
        put(source, f"c-{n}", transformed(render(scene(31, n)), "re-encoded at 30"))
    refine(str(root), str(source), [*QUICK, *KEEPING])
    assert counted(str(root)).kept == 36
    before = splits_by_scene(root)
    assert len(before) == 12 and all(len(found) == 1 for found in before.values())
    assert len(set.union(*before.values())) > 1
    for n in range(12):
        put(source, f"d-{n}", transformed(render(scene(31, n)), "brighter"))
    refine(str(root), str(source), [*QUICK, *KEEPING])
    assert counted(str(root)).kept == 48
    assert splits_by_scene(root) == before


def test_news_pictures_that_a_recipe_keeps_twice_stand_in_one_split(tmp_path: Path) -> None:
    sources, root = newsroom(tmp_path / "news", scenes=30), tmp_path / "root"
    pictures = sorted(Path(sources[0]).rglob("*.jpg"))
    for one, other in zip(pictures[::6], pictures[3::6], strict=False):
        other.write_bytes(one.read_bytes())
    anchor(str(root), sources, [*KEEPING, "export.val=0.3", "export.test=0.3"])
    with connect(str(root)) as catalog:
        found = catalog.execute("SELECT count(*), count(DISTINCT split) FROM placements GROUP BY sha256").fetchall()
    assert {splits for _, splits in found} == {1} and sum(copies == 2 for copies, _ in found) > 1

"""A changed ``download.*`` key fetches anew what the source holds, and leaves alone what it no longer holds."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.catalog import connect, refresh
from curation.core.engines.local import LocalEngine
from curation.core.lock import hold
from curation.core.root import resolve_recipe, write_recipe
from curation.core.run import Segment
from curation.core.store import Store
from curation.fetch.download_stage import DownloadStage
from curation.products.refine import LAION_REFINED
from flows.redo import main as redo
from schemas.refine import RefineLaion
from tests.support.buried import take_down
from tests.support.images import encoded, natural
from tests.support.kills import every_kill
from tests.support.manifests import xmp_packet
from tests.support.picture_web import PictureWeb
from tests.support.runs import counted, refine
from tests.support.toy import fingerprint

SETTINGS = (
    *("caption.backend=scripted", "source.shard_rows=4", "export.shard_size=5", "export.val=0", "export.test=0"),
    *("download.retries=0", "download.timeout=20", "check.names=ignore"),
)
SMALL = ("download.size=100", "download.min_side=50")
MINED = xmp_packet("<plus:DataMining>http://ns.useplus.org/ldf/vocab/DMI-PROHIBITED-AIMLTRAINING</plus:DataMining>")


@pytest.fixture(scope="module")
def served() -> Iterator[PictureWeb]:
    with PictureWeb(40) as found:
        yield found


@pytest.fixture
def web(served: PictureWeb) -> Iterator[PictureWeb]:
    served.requests.clear()
    yield served
    served.missing = set()


class Root:
    """A root in a folder, and the list that it is made of."""

    def __init__(self, web: PictureWeb, folder: Path) -> None:
        self.web, self.folder = web, folder
        self.url = str(folder / "root")
        self.store = Store(self.url)

    def run(self, pictures: Sequence[int], *more: str) -> None:
        """A run with a list of these pictures of the web."""
        (self.folder / "lists").mkdir(parents=True, exist_ok=True)
        lines = [f"{self.web.url(n)},picture {n}" for n in pictures]
        (self.folder / "lists" / "list.csv").write_text("\n".join(["url,text", *lines]) + "\n")
        self.over(self.folder / "lists", f'download.allow_private_hosts=["{self.web.host}"]', *more)

    def over(self, source: Path, *more: str) -> None:
        """All that stands before duplicates are looked for."""
        recipe = resolve_recipe(RefineLaion, self.store, None, [*SETTINGS, *more])
        with hold(self.store):
            write_recipe(self.store, recipe)
            for step in (s for s in LAION_REFINED.ready(recipe, [str(source)], self.store) if s.on):
                failed = step.run(self.store, LocalEngine(), lambda _: None).failed
                assert not failed
                if isinstance(step, Segment) and any(isinstance(s, DownloadStage) for s in step.stages):
                    break
        refresh(self.store)

    def ask(self, query: str) -> list[Any]:
        with connect(self.url) as catalog:
            return catalog.execute(query).fetchall()

    def images(self) -> dict[str, tuple[Any, ...]]:
        """The row of ``images`` of each text, with the bytes that are stored at its place."""
        found = self.ask(
            "SELECT r.alt_text, r.shard, i.* FROM images i JOIN rows r USING (sample_id) WHERE i.reason IS NULL "
            "ORDER BY r.alt_text"
        )
        columns = [row[0] for row in self.ask("DESCRIBE SELECT i.* FROM images i")]
        at, size, sha256 = (2 + columns.index(name) for name in ("offset", "size", "sha256"))
        read: dict[str, tuple[Any, ...]] = {}
        for row in found:
            data = self.store.read(Store.images_file(row[1]), row[at], row[at] + row[size])
            assert hashlib.sha256(data).hexdigest() == row[sha256], "a row of images does not belong to its tar"
            read[row[0]] = (*row[1:], data)
        return read

    def kept(self) -> set[str]:
        """Texts of the rows that go on to later stages."""
        return {text for (text,) in self.ask("SELECT alt_text FROM samples WHERE fate <> 'rejected'")}


def texts(pictures: Sequence[int]) -> set[str]:
    return {f"picture {n}" for n in pictures}


def local_list(web: PictureWeb, folder: Path, pictures: Sequence[int]) -> Path:
    """A Parquet list of pictures that lie beside it."""
    folder.mkdir()
    for n in pictures:
        (folder / f"{n}.jpg").write_bytes(web.picture(n))
    columns = {"url": [f"{n}.jpg" for n in pictures], "text": [f"picture {n}" for n in pictures]}
    pq.write_table(pa.table(columns), folder / "local.parquet")
    return folder / "local.parquet"


@pytest.mark.parametrize("changed", [(), SMALL, ("signals.enabled=true",)])
def test_a_source_that_is_no_longer_named_keeps_its_samples(
    web: PictureWeb, tmp_path: Path, changed: tuple[str, ...]
) -> None:
    """Local files, whose folder is no longer named. Another host that may be asked is a changed setting in itself."""
    root, host = Root(web, tmp_path), f'download.allow_private_hosts=["{web.host}"]'
    source = local_list(web, tmp_path / "there", range(20, 27))
    refine(root.url, str(source), [*SETTINGS, "signals.enabled=false"])
    shutil.rmtree(tmp_path / "there")
    before, tars = root.images(), {p: p.read_bytes() for p in Path(root.url).glob("release/*.tar")}
    (tmp_path / "list.csv").write_text(f"url,text\n{web.url(0)},picture 0\n")
    refine(root.url, str(tmp_path / "list.csv"), [*SETTINGS, "signals.enabled=false", host, *changed])
    counted(root.url)
    now = root.images()
    assert {text: now[text] for text in before} == before and now.keys() - before.keys() == texts([0])
    assert root.ask("SELECT count(*) FROM samples WHERE fate = 'kept' AND gone") == [(7,)]
    if "signals.enabled=true" not in changed:  # which adds keys to each sample's .json
        assert all(path.read_bytes() == data for path, data in tars.items())
    card = Path(root.url, "release", "README.md").read_text()
    assert "The source no longer holds 7 of these rows; 7 of them are in the release." in card


def test_rows_that_are_gone_stay_and_the_others_are_fetched_again(web: PictureWeb, tmp_path: Path) -> None:
    root = Root(web, tmp_path)
    root.run(range(10))
    root.run([0, 2, 3, 5, 7, 8])
    before = root.images()
    web.requests.clear()
    root.run([0, 2, 3, 5, 7, 8], *SMALL)
    now = root.images()
    assert {text for text in before if now[text] == before[text]} == texts([1, 4, 6, 9])
    assert web.requests == {f"/{n}.jpg": 1 for n in (0, 2, 3, 5, 7, 8)}
    # Nothing is left of what was replaced: no table would lead a takedown to it.
    tars = b"".join(p.read_bytes() for p in Path(root.url).glob("images/*.tar"))
    assert [text for text, row in before.items() if row[-1] in tars] == [f"picture {n}" for n in (1, 4, 6, 9)]
    web.requests.clear()
    root.run([*range(10), 11], *SMALL)  # they are back
    assert web.requests == {"/11.jpg": 1} and root.kept() == texts([*range(10), 11])
    assert root.images().items() >= now.items()


@pytest.mark.parametrize("damage", ["of one that the source holds", "of one that is gone", "of the table"])
@pytest.mark.parametrize("redone", [False, True])
def test_a_damaged_shard_is_fetched_anew_but_for_sound_images_of_rows_that_are_gone(
    web: PictureWeb, tmp_path: Path, damage: str, *, redone: bool
) -> None:
    """With ``redone`` the shard was done again before, so that more than its table says what is stored."""
    root = Root(web, tmp_path)
    root.run(range(4))
    if redone:
        root.run([0, 1, 2, 3], "source.min_characters=100")
        root.run([0, 1, 2, 3], "source.min_characters=0")
    root.run([0, 2])
    before = root.images()
    (shard,) = {row[0] for row in before.values()}
    at = {text: row[-1] for text, row in before.items()}
    tar, table = (Path(root.url, name) for name in (f"images/{shard}.tar", f"tables/images/{shard}.parquet"))
    if damage == "of the table":
        table.write_bytes(table.read_bytes()[:-40])
    else:
        spoilt = at["picture 0" if damage == "of one that the source holds" else "picture 1"]
        tar.write_bytes(tar.read_bytes().replace(spoilt, bytes(len(spoilt))))
    web.requests.clear()
    assert redo([root.url, "images", shard]) == 0
    assert redo([root.url, "images", shard]) == 2  # it is not finished any more
    root.run([0, 2])
    sound = {"of one that the source holds": {1, 3}, "of one that is gone": {3}}
    kept = sound.get(damage, {1, 3} if redone else set())
    lost = set() if redone or damage != "of the table" else {1, 3}  # nobody knows that they were fetched
    assert web.requests == {f"/{n}.jpg": 1 for n in {0, 1, 2, 3} - kept - lost}
    now = root.images()
    assert {text: row[-1] for text, row in now.items()} == {t: at[t] for t in at.keys() - texts(sorted(lost))}
    assert {text: now[text] for text in texts(sorted(kept))} == {text: before[text] for text in texts(sorted(kept))}


def test_a_row_that_a_filter_hides_and_that_is_gone_is_there_when_the_filter_goes(
    web: PictureWeb, tmp_path: Path
) -> None:
    root = Root(web, tmp_path)
    root.run(range(6))
    root.run([1, 2, 3, 4, 5])
    before = root.images()
    root.run([1, 2, 3, 4, 5], "source.min_characters=100", *SMALL)
    assert not root.kept()
    root.run([1, 2, 3, 4, 5], "source.min_characters=0")
    assert root.images()["picture 0"] == before["picture 0"] and root.kept() == texts(range(6))


def test_what_is_taken_down_goes_whatever_else_is_kept(web: PictureWeb, tmp_path: Path) -> None:
    """By a takedown between two runs, and by tombstones of another root that a run with other settings is given."""
    root, other = Root(web, tmp_path), Root(web, tmp_path / "other")
    root.run(range(8))
    root.run([0, 1])
    other.run(range(8))
    before = root.images()
    take_down(root.url, urls=[web.url(2)])
    take_down(other.url, urls=[web.url(3)])
    root.run([0, 1], f'source.tombstones=["{other.url}/tombstones.jsonl"]', *SMALL)
    assert root.kept() == texts([0, 1, 4, 5, 6, 7])
    tars = b"".join(p.read_bytes() for p in Path(root.url).glob("images/*.tar"))
    assert [n for n in range(8) if before[f"picture {n}"][-1] in tars] == [4, 5, 6, 7]
    take_down(root.url, urls=[web.url(4)])
    tars = b"".join(p.read_bytes() for p in Path(root.url).glob("images/*.tar"))
    assert [n for n in range(8) if before[f"picture {n}"][-1] in tars] == [5, 6, 7]
    root.run([0, 1], f'source.tombstones=["{other.url}/tombstones.jsonl"]', *SMALL)
    assert root.kept() == texts([0, 1, 5, 6, 7])


def test_an_opt_out_that_is_found_in_what_is_stored_takes_it_out(web: PictureWeb, tmp_path: Path) -> None:
    """Signals are honoured from now on: what was kept of a gone image when it was fetched decides, nobody is asked."""
    root = Root(web, tmp_path)
    web.serve("/50.jpg", encoded(natural(240, 220, seed=50), "JPEG", quality=90, xmp=MINED))
    root.run([*range(3), 50], "download.opt_out=false")
    assert root.kept() == texts([*range(3), 50])
    root.run(range(1), "download.opt_out=false")
    before = root.images()
    web.requests.clear()
    root.run(range(1), "download.opt_out=true")
    assert root.kept() == texts(range(3)) and web.requests == {"/0.jpg": 1}
    lost = root.ask("SELECT alt_text, stage, reason FROM samples WHERE fate = 'rejected'")
    assert lost == [("picture 50", "download", "opted_out")]
    assert root.ask("SELECT what FROM signals WHERE honoured") == [("plus:DataMining",)]
    assert before["picture 50"][-1] not in Path(root.url, "images", f"{before['picture 50'][0]}.tar").read_bytes()


@pytest.mark.parametrize("goes", [False, True])
def test_a_run_with_other_settings_that_is_killed_anywhere_loses_nothing(
    web: PictureWeb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, goes: bool
) -> None:
    """With ``goes`` another row goes from the source between the kill and the next run."""
    first = Root(web, tmp_path / "first")
    first.run(range(8))
    first.run([0, 2, 3, 5, 7])
    before = first.images()
    then = [0, 2, 3, 7] if goes else [0, 2, 3, 5, 7]
    roots: list[Root] = []

    def prepare() -> Callable[[], object]:
        folder = tmp_path / f"killed-{len(roots)}"
        shutil.copytree(tmp_path / "first", folder)
        roots.append(Root(web, folder))
        return lambda: roots[-1].run([0, 2, 3, 5, 7], *SMALL)

    results: list[dict[str, str]] = []
    for _ in every_kill(prepare, monkeypatch, step=3):
        roots[-1].run(then, *SMALL)
        now = roots[-1].images()
        assert {text: now[text] for text in texts([1, 4, 6])} == {text: before[text] for text in texts([1, 4, 6])}
        assert roots[-1].kept() == texts(range(8))
        results.append(fingerprint(roots[-1].store, "tables", "images"))
    assert len(results) > 8
    if not goes:
        whole = fingerprint(roots[-1].store, "tables", "images")
        assert all(result == whole for result in results)

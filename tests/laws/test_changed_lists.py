"""A list that changes in whatever way takes nothing away and fetches nothing twice."""

from __future__ import annotations

import io
import json
import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from PIL import Image

from curation.catalog import connect
from curation.core.job import Outcome
from curation.core.store import Store
from tests.support.images import jpeg, natural
from tests.support.kills import every_kill
from tests.support.picture_web import PictureWeb
from tests.support.runs import RESULT, counted, refine
from tests.support.sources import write_tar
from tests.support.toy import fingerprint

PICTURES = 40
SETTINGS = [
    *("caption.backend=scripted", "source.shard_rows=4", "export.shard_size=5", "export.val=0.2", "export.test=0.1"),
    *("download.retries=0", "download.timeout=20"),
]
Row = tuple[int, int]  # a picture, and a text about it


@pytest.fixture(scope="module")
def web() -> Iterator[PictureWeb]:
    with PictureWeb(PICTURES) as served:
        yield served


@dataclass
class Growing:
    """A root whose list is written anew before every run."""

    web: PictureWeb
    folder: Path
    suffix: str = "parquet"
    settings: list[str] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    similarity: Callable[[Row], float] = lambda _: 0.3
    released: dict[str, bytes] = field(default_factory=dict)

    @property
    def root(self) -> str:
        return str(self.folder / "root")

    def run(self, rows: Sequence[Row], more: Sequence[str] = ()) -> list[Outcome]:
        self.rows = list(rows)
        (self.folder / "lists").mkdir(parents=True, exist_ok=True)
        _write(self.folder / "lists" / f"list.{self.suffix}", self.web, rows, self.similarity)
        host = f'download.allow_private_hosts=["{self.web.host}"]'
        return refine(self.root, str(self.folder / "lists"), [*SETTINGS, host, *self.settings, *more])

    def ask(self, query: str) -> list[Any]:
        with connect(self.root) as catalog:
            return catalog.execute(query).fetchall()

    def kept(self) -> set[Row]:
        found = self.ask("SELECT DISTINCT url, alt_text FROM samples WHERE fate = 'kept'")
        return {(int(url.rsplit("/", 1)[1][:-4]), int(text.rsplit(" ", 1)[1])) for url, text in found}

    def tars(self) -> dict[str, bytes]:
        return {p.name: p.read_bytes() for p in sorted(Path(self.root).glob("release/*.tar"))}

    def replies(self) -> Counter[str]:
        lines = [line for p in Path(self.root).glob("replies/*.jsonl") for line in p.read_text().splitlines()]
        return Counter(reply["key"] for line in lines for reply in json.loads(line))


def _write(path: Path, web: PictureWeb, rows: Sequence[Row], similarity: Callable[[Row], float]) -> None:
    columns = {
        "url": [web.url(picture) for picture, _ in rows],
        "text": [f"picture {picture} of something {text}" for picture, text in rows],
        "similarity": [similarity(row) for row in rows],
    }
    if path.suffix == ".parquet":
        pq.write_table(pa.table(columns), path)
    else:
        mark = "\t" if path.suffix == ".tsv" else ","
        lines = [mark.join(map(str, row)) for row in zip(*columns.values(), strict=True)]
        path.write_text("\n".join([mark.join(columns), *lines]) + "\n")


def edited(rows: list[Row], edit: str, chance: random.Random, pictures: list[int]) -> list[Row]:
    """The list after one edit; new rows take the next of ``pictures``."""
    at = chance.randrange(len(rows) + 1)
    there = chance.randrange(len(rows))
    match edit:
        case "front":
            return [(pictures.pop(), 0), *rows]
        case "middle":
            return [*rows[:at], (pictures.pop(), 0), (pictures.pop(), 0), *rows[at:]]
        case "end":
            return [*rows, (pictures.pop(), 0)]
        case "remove":
            return rows[:there] + rows[there + 1 :] if len(rows) > 1 else rows
        case "reorder":
            return chance.sample(rows, len(rows))
        case "duplicate":
            return [*rows[:at], rows[there], *rows[at:]]
        case "text":
            return [*rows[:there], (rows[there][0], rows[there][1] + 1), *rows[there + 1 :]]
        case _:
            return [*rows[:there], (pictures.pop(), 0), *rows[there + 1 :]]


EDITS = ("front", "middle", "end", "remove", "reorder", "duplicate", "text", "url")


@settings(max_examples=6, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(
    script=st.lists(st.lists(st.sampled_from(EDITS), min_size=1, max_size=3), min_size=2, max_size=3),
    suffix=st.sampled_from(["parquet", "csv", "tsv"]),
    seed=st.integers(0, 1000),
)
def test_whatever_happens_to_a_list(
    web: PictureWeb, tmp_path_factory: pytest.TempPathFactory, script: list[list[str]], suffix: str, seed: int
) -> None:
    chance = random.Random(seed)
    pictures = chance.sample(range(PICTURES), PICTURES)
    growing = Growing(web, tmp_path_factory.mktemp("grown"), suffix)
    web.requests.clear()
    rows = [(pictures.pop(), 0) for _ in range(9)]
    seen = set(rows)
    growing.run(rows)
    assert growing.kept() == seen
    for edits in script:
        tars, kept = growing.tars(), growing.kept()
        for edit in edits:
            rows = edited(rows, edit, chance, pictures)
        seen |= set(rows)
        growing.run(rows)
        counted(growing.root)
        assert tars.items() <= growing.tars().items(), "a release tar has changed"
        assert kept <= growing.kept(), "a released sample is gone"
        assert {p for p, _ in growing.kept()} == {p for p, _ in seen}
        assert set(web.requests.values()) == {1}, "an image was fetched twice"
        assert set(growing.replies().values()) == {1}, "a reply was paid for twice"
        present = growing.ask("SELECT url, alt_text FROM samples WHERE NOT gone")
        wanted = [(web.url(p), f"picture {p} of something {t}") for p, t in rows]
        assert Counter(present) == Counter(wanted)
    if not any("text" in edits for edits in script):
        fresh = Growing(web, tmp_path_factory.mktemp("fresh"), suffix)
        fresh.run(rows)
        assert fresh.kept() == {(p, t) for p, t in growing.kept() if (p, t) in rows}


def test_a_url_that_is_gone_takes_nothing_away(web: PictureWeb, tmp_path: Path) -> None:
    """Neither one that answers 404 today, nor one that its list has dropped; what was never fetched is not fetched."""
    growing = Growing(web, tmp_path)
    growing.run([(n, 0) for n in range(8)])
    tars = growing.tars()
    web.requests.clear()
    web.missing = {f"/{n}.jpg" for n in range(6)}
    try:
        growing.run([(20, 0), *((n, 0) for n in range(2, 8))])
    finally:
        web.missing = set()
    assert web.requests == {"/20.jpg": 1}
    assert growing.kept() == {(n, 0) for n in (*range(8), 20)}
    assert tars.items() <= growing.tars().items()
    assert growing.ask("SELECT fate, rows FROM funnel") == [("kept", 9)]
    assert sorted(growing.ask("SELECT url, fate FROM samples WHERE gone")) == [(web.url(n), "kept") for n in (0, 1)]
    card = Path(growing.root, "release", "README.md").read_text()
    assert "The source no longer holds 2 of these rows; 2 of them are in the release." in card


def test_filters_fetch_nothing_that_is_stored(web: PictureWeb, tmp_path: Path) -> None:
    growing = Growing(web, tmp_path, similarity=lambda row: row[0] / 100)
    rows = [(n, 0) for n in range(12)]
    growing.run(rows, ["source.min_similarity=0.04"])
    assert growing.kept() == {(n, 0) for n in range(4, 12)}
    replies = growing.replies()
    web.requests.clear()
    growing.run(rows, ["source.min_similarity=0.08"])
    assert not web.requests
    assert growing.kept() == {(n, 0) for n in range(8, 12)}
    assert growing.ask("SELECT rows FROM funnel WHERE reason = 'low_similarity'") == [(8,)]
    growing.run(rows, ["source.min_similarity=0.04"])
    assert not web.requests
    assert growing.kept() == {(n, 0) for n in range(4, 12)}
    assert growing.replies() == replies
    tars = growing.tars()
    growing.run(rows, ["source.min_similarity=0.02"])
    assert web.requests == {"/2.jpg": 1, "/3.jpg": 1}
    assert growing.kept() == {(n, 0) for n in range(2, 12)}
    assert tars.items() <= growing.tars().items()
    counted(growing.root)


LOCAL = ["caption.backend=scripted", "source.shard_rows=3", "export.shard_size=4", "export.val=0", "export.test=0"]


def _kept(root: Path) -> dict[str, str]:
    """Texts of the release, each with the sha256 of its image."""
    with connect(str(root)) as catalog:
        return dict(catalog.execute("SELECT alt_text, sha256 FROM samples WHERE fate = 'kept'").fetchall())


def _tars(root: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in root.glob("release/*.tar")}


def test_a_folder_gets_a_picture_that_sorts_first_and_loses_one(web: PictureWeb, tmp_path: Path) -> None:
    folder, root = tmp_path / "pictures", tmp_path / "root"
    folder.mkdir()

    def add(name: str, picture: int) -> None:
        (folder / f"{name}.jpg").write_bytes(web.picture(picture))
        (folder / f"{name}.txt").write_text(f"picture {picture}")

    for n in range(7):
        add(f"m{n}", n)
    refine(str(root), str(folder), LOCAL)
    kept, tars = _kept(root), _tars(root)
    images = {p.name: p.read_bytes() for p in root.glob("images/*.tar")}
    add("a", 20)
    (folder / "m3.jpg").unlink()
    (folder / "m3.txt").unlink()
    refine(str(root), str(folder), LOCAL)
    assert _kept(root).items() >= kept.items() and _kept(root).keys() - kept.keys() == {"picture 20"}
    assert tars.items() <= _tars(root).items()
    assert images.items() <= {p.name: p.read_bytes() for p in root.glob("images/*.tar")}.items()
    counted(str(root))


def _tar(path: Path, web: PictureWeb, pictures: Sequence[int], *, urls: bool) -> None:
    members: list[tuple[str, bytes]] = []
    for n in pictures:
        told = {"caption": f"picture {n}"} | ({"url": f"http://a/{n}"} if urls else {})
        members += [(f"{n:03d}.jpg", web.picture(n)), (f"{n:03d}.json", json.dumps(told).encode())]
    write_tar(path, members)


@pytest.mark.parametrize("urls", [True, False])
def test_a_tar_gets_members_in_front_and_loses_one(web: PictureWeb, tmp_path: Path, *, urls: bool) -> None:
    source, root = tmp_path / "a.tar", tmp_path / "root"
    _tar(source, web, range(7), urls=urls)
    refine(str(root), str(source), LOCAL)
    kept, tars = _kept(root), _tars(root)
    _tar(source, web, [20, 21, 1, 2, 3, 4, 5, 6], urls=urls)
    refine(str(root), str(source), LOCAL)
    assert _kept(root).items() >= kept.items() and _kept(root).keys() - kept.keys() == {"picture 20", "picture 21"}
    assert tars.items() <= _tars(root).items()
    # Other pixels are asked for: a member that is gone keeps those it has, wherever another one stands now.
    refine(str(root), str(source), [*LOCAL, "download.size=100", "download.min_side=50"])
    again = _kept(root)
    assert again.keys() == {f"picture {n}" for n in (20, 21, 0, 1, 2, 3, 4, 5, 6)}
    assert {text for text in kept if again[text] == kept[text]} == {"picture 0"}
    counted(str(root))


def test_another_picture_under_the_same_url_and_text_is_read_from_its_tar(web: PictureWeb, tmp_path: Path) -> None:
    source, root = tmp_path / "a.tar", tmp_path / "root"
    write_tar(source, [("0.jpg", web.picture(0)), ("0.json", b'{"caption": "text", "url": "http://a/0"}')])
    refine(str(root), str(source), LOCAL)
    before = _kept(root)
    write_tar(source, [("0.jpg", web.picture(1)), ("0.json", b'{"caption": "text", "url": "http://a/0"}')])
    refine(str(root), str(source), LOCAL)
    assert _kept(root).keys() == before.keys() and _kept(root) != before
    counted(str(root))


def test_growth_that_is_killed_anywhere_ends_as_if_it_had_not_been(
    web: PictureWeb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows in front, one removed, one with another text, and a filter that lets more through: all at once."""
    first = Growing(web, tmp_path / "first", similarity=lambda row: row[0] / 100)
    first.run([(n, 0) for n in range(10)], ["source.min_similarity=0.03"])
    now = [(20, 0), (4, 1), *((n, 0) for n in range(4)), *((n, 0) for n in range(5, 10))]
    web.requests.clear()
    growing: list[Growing] = []

    def prepare() -> Callable[[], object]:
        folder = tmp_path / f"killed-{len(growing)}"
        shutil.copytree(tmp_path / "first", folder)
        growing.append(Growing(web, folder, similarity=first.similarity))
        return lambda: growing[-1].run(now, ["source.min_similarity=0.01"])

    results: list[dict[str, str]] = []
    for _ in every_kill(prepare, monkeypatch, step=11):
        growing[-1].run(now, ["source.min_similarity=0.01"])
        results.append(fingerprint(Store(growing[-1].root), *RESULT))
        counted(growing[-1].root)
    assert len(results) > 3
    whole = fingerprint(Store(growing[-1].root), *RESULT)
    assert all(result == whole for result in results)
    assert growing[-1].kept() == {*((n, 0) for n in range(1, 10)), (20, 0)}
    assert set(web.requests) == {"/1.jpg", "/2.jpg", "/20.jpg"}


def test_what_was_released_is_kept_when_a_filter_lets_a_better_copy_through(web: PictureWeb, tmp_path: Path) -> None:
    """The copy comes first in the list, and is larger."""
    large = jpeg(natural(448, 416, 3))
    small = jpeg(np.asarray(Image.open(io.BytesIO(large)).resize((224, 208), Image.Resampling.LANCZOS)))
    source, root = tmp_path / "a.tar", tmp_path / "root"
    members = [("0.jpg", large), ("0.json", b'{"caption": "large", "similarity": 0.1}')]
    members += [("1.jpg", small), ("1.json", b'{"caption": "small", "similarity": 0.3}')]
    write_tar(source, [*members, ("2.jpg", web.picture(5)), ("2.json", b'{"caption": "other", "similarity": 0.3}')])
    refine(str(root), str(source), [*LOCAL, "source.min_similarity=0.2"])
    tars = _tars(root)
    assert _kept(root).keys() == {"small", "other"}
    refine(str(root), str(source), [*LOCAL, "source.min_similarity=0.0"])
    assert _kept(root).keys() == {"small", "other"}
    assert _tars(root) == tars
    refine(str(tmp_path / "fresh"), str(source), LOCAL)
    assert _kept(tmp_path / "fresh").keys() == {"large", "other"}


def test_a_text_that_a_filter_lets_through_displaces_no_released_one(web: PictureWeb, tmp_path: Path) -> None:
    """Rows of the same text: as many as the recipe allows are released, and the first in the list were filtered."""
    source, root = tmp_path / "list.csv", tmp_path / "root"
    rows = [f"{web.url(n)},the same,{0.1 if n < 3 else 0.3}" for n in range(6)]
    source.write_text("\n".join(["url,text,similarity", *rows]) + "\n")
    common = [*LOCAL, f'download.allow_private_hosts=["{web.host}"]', "source.max_text_repeats=2", "check.names=ignore"]
    refine(str(root), str(source), [*common, "source.min_similarity=0.2"])
    with connect(str(root)) as catalog:
        kept = catalog.execute("SELECT url FROM samples WHERE fate = 'kept'").fetchall()
    assert sorted(kept) == [(web.url(n),) for n in (3, 4)]
    tars = _tars(root)
    web.requests.clear()
    for more in ("source.min_similarity=0.0", "source.max_text_repeats=3"):
        common.append(more)
        refine(str(root), str(source), common)
        assert tars.items() <= _tars(root).items()
    assert web.requests == {"/0.jpg": 1}

"""Whole runs with embeddings: one look at the pixels for all, semantic duplicates, search, and a takedown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from curation.caption.check.similarity import SimilarityModel
from curation.catalog import connect
from curation.core.store import Store
from curation.embed.index import FOLDER, ids_in, open_index
from curation.embed.vectors import all_vectors
from flows import search as command
from tests.support.counting_web import CountingWeb, web_of_pictures
from tests.support.runs import counted, quick, refine
from tests.support.tiny_clip import make_tiny_clip

PICTURES = 14


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(make_tiny_clip(tmp_path_factory.mktemp("clip")))


@pytest.fixture(scope="module")
def web() -> Iterator[CountingWeb]:
    with web_of_pictures(PICTURES) as found:
        yield found


def settings(web: CountingWeb, clip: str, *more: str) -> list[str]:
    return [*quick(web.host), "source.shard_rows=5", "export.val=0", "export.test=0", f"embed.model={clip}",
            "embed.batch=4", *more]  # fmt: skip


@pytest.fixture(scope="module")
def root(web: CountingWeb, clip: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A root with similarity by the same checkpoint."""
    folder = tmp_path_factory.mktemp("embedded")
    refine(str(folder / "root"), web.write_list(folder / "list"), settings(web, clip, f"scores.model={clip}"))
    return str(folder / "root")


def test_every_kept_image_has_its_embedding(root: str, clip: str) -> None:
    with connect(root) as views:
        kept = {s for (s,) in views.execute("SELECT sample_id FROM duplicates WHERE reason IS NULL").fetchall()}
    with all_vectors(Store(root)) as vectors:
        assert set(vectors.ids.to_pylist()) == kept and len(kept) == PICTURES
        assert np.allclose(np.linalg.norm(np.asarray(vectors.rows, np.float32), axis=1), 1, atol=2e-3)


def test_similarity_takes_the_images_side_from_the_embeddings(
    web: CountingWeb, root: str, clip: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One decode and one forward an image for both; without embeddings the cosines are the same, but for float16."""
    looked: list[int] = []
    seen = SimilarityModel.embed_pictures

    def counting(self: SimilarityModel, pictures: list[object]) -> object:
        looked.append(len(pictures))
        return seen(self, pictures)  # type: ignore[arg-type]

    monkeypatch.setattr(SimilarityModel, "embed_pictures", counting)
    source = web.write_list(tmp_path / "list")
    refine(str(tmp_path / "both"), source, settings(web, clip, f"scores.model={clip}"))
    assert sum(looked) == PICTURES
    refine(str(tmp_path / "alone"), source, settings(web, "", f"scores.model={clip}"))
    query = "SELECT sample_id, kind, similarity FROM scores ORDER BY ALL"
    with connect(str(tmp_path / "both")) as both, connect(str(tmp_path / "alone")) as alone:
        found, plain = both.execute(query).fetchall(), alone.execute(query).fetchall()
    assert [row[:2] for row in found] == [row[:2] for row in plain] and found
    assert all(abs(a[2] - b[2]) < 2e-3 for a, b in zip(found, plain, strict=True))


def test_a_text_and_an_image_find_what_a_look_at_all_vectors_finds(
    web: CountingWeb, root: str, clip: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = SimilarityModel(clip)
    with all_vectors(Store(root)) as vectors:
        everything, ids = vectors.block(slice(None)), vectors.ids.to_pylist()
    likeness = everything @ model.embed_texts(["two dogs on a beach"])[0].numpy()
    assert command.main([root, "two dogs on a beach", "--json", "--most", "5"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    best = sorted(likeness, reverse=True)[:5]
    assert np.allclose([f["cosine"] for f in found], best, atol=2e-3)
    assert all(abs(likeness[ids.index(f["sample_id"])] - f["cosine"]) < 2e-3 for f in found)
    picture = tmp_path / "asked.jpg"
    picture.write_bytes(web.bodies["/3.jpg"])
    assert command.main([root, "--like", str(picture), "--json", "--most", "1"]) == 0
    (like,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert like["url"].endswith("/3.jpg") and like["cosine"] > 0.99
    assert command.main([root, "--like", str(picture)]) == 0
    written = Path(root) / "report" / "search"
    assert str(written / "index.html") in capsys.readouterr().out
    assert len(list((written / "thumbnails").iterdir())) == PICTURES


def test_wrong_questions_are_refused(root: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = tmp_path / "no.jpg"
    text.write_text("no image")
    for words, said in (
        ([root], "either a text or --like"),
        ([root, "a", "--like", str(text)], "either a text or --like"),
        ([root, "--like", str(text)], "is no image"),
        ([root, "--like", str(tmp_path / "missing.jpg")], "cannot read"),
        ([root, "a", "--most", "0"], "--most is 0"),
        ([str(tmp_path), "a"], "no embeddings"),
    ):
        assert command.main(words) == 2
        assert said in capsys.readouterr().err


def test_the_index_grows_with_the_root_and_a_takedown_reaches_everything(
    web: CountingWeb, clip: str, tmp_path: Path
) -> None:
    from flows import takedown

    source = Path(web.write_list(tmp_path / "list"))
    root = str(tmp_path / "root")
    refine(root, str(source), [*settings(web, clip, "embed.semantic.policy=record"), "source.limit=9"])
    first = open_index(Store(root))
    assert first.made and first.faiss.ntotal == 9 and not open_index(Store(root)).made
    refine(root, str(source), [*settings(web, clip, "embed.semantic.policy=record"), "source.limit=0"])
    grown = open_index(Store(root))
    assert grown.made and grown.faiss.ntotal == PICTURES and len(set(ids_in(grown))) == PICTURES
    url = f"http://{web.host}/2.jpg"
    with connect(root) as views:
        ((sample,),) = views.execute("SELECT sample_id FROM rows WHERE url = ?", [url]).fetchall()
    assert takedown.main([root, "--url", url, "--reason", "asked", "--yes", "--verify"]) == 0
    assert not (Path(root) / FOLDER).exists()
    with connect(root) as views:
        for table in ("embeddings", "semantic_duplicates"):
            ids = {s for (s,) in views.execute(f"SELECT sample_id FROM {table}").fetchall()}
            assert sample not in ids and len(ids) == PICTURES - 1
    assert sample not in ids_in(open_index(Store(root)))
    assert counted(root).ok


def test_semantic_duplicates_are_rejected_before_captions(web: CountingWeb, clip: str, tmp_path: Path) -> None:
    """An untrained model sees most pictures as nearly the same, which serves here: the laws hold for any threshold.

    A keeper that is taken down takes none of its semantic duplicates along: the next run lets another one keep.
    """
    from flows import takedown

    source, root = web.write_list(tmp_path / "list"), str(tmp_path / "root")
    with_policy = settings(web, clip, "embed.semantic.policy=reject", "embed.semantic.threshold=0.9")
    refine(root, source, with_policy)
    keepers, removed = kept_by_the_laws(root, PICTURES)
    gone = next(iter(removed.values()))
    assert takedown.main([root, "--sample", gone, "--reason", "asked", "--yes", "--verify"]) == 0
    refine(root, source, with_policy)
    after, _ = kept_by_the_laws(root, PICTURES - 1)
    lost = {sample for sample, keeper in removed.items() if keeper == gone}
    assert keepers - {gone} <= after <= (keepers - {gone}) | lost, "keepers stay, and nobody else's duplicates return"
    assert not [o for o in refine(root, source, with_policy) if o.status != "skipped"]


def kept_by_the_laws(root: str, pictures: int) -> tuple[set[str], dict[str, str]]:
    """The keepers, and the others with the keeper of each, after a look at what holds for them."""
    assert counted(root).ok
    with all_vectors(Store(root)) as vectors:
        rows, ids = vectors.block(slice(None)), vectors.ids.to_pylist()
    like = rows @ rows.T
    with connect(root) as views:
        found = views.execute("SELECT sample_id, reason, keeper_id, cosine FROM semantic_duplicates").fetchall()
        captioned = {s for (s,) in views.execute("SELECT sample_id FROM captions").fetchall()}
        lost = views.execute("SELECT count(*) FROM samples WHERE reason = 'semantic_duplicate'").fetchone()
    keepers = [ids.index(s) for s, reason, _, _ in found if reason is None]
    removed = [(ids.index(s), ids.index(k), c) for s, reason, k, c in found if reason is not None]
    assert lost == (len(removed),) and removed and len(keepers) + len(removed) == pictures
    assert all(like[a, b] < 0.9 for a in keepers for b in keepers if a != b)
    assert all(k in keepers and like[a, k] >= 0.9 - 1e-5 and abs(like[a, k] - c) < 1e-4 for a, k, c in removed)
    assert captioned == {ids[k] for k in keepers}
    return {ids[k] for k in keepers}, {ids[a]: ids[k] for a, k, _ in removed}

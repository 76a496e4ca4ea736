"""Whole runs with scores: nothing is fetched or captioned for them, limits reject first, packages add their own."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest

from curation.caption.model.scripted import ScriptedModel
from curation.catalog import connect
from curation.core.engines.ray import RayEngine
from curation.core.errors import RecipeError
from curation.core.recipes import load
from curation.core.store import Store
from curation.images.reading import ImageReader
from curation.products.expand import EXPANSION
from curation.products.refine import LAION_REFINED
from curation.release.remedies import remedy
from curation.scores import in_download
from curation.scores.installed import OWN, WITH_MODELS, installed
from curation.scores.sharpness import Sharpness
from flows.request import command_line
from schemas.refine import RefineLaion
from tests.support.counting_web import CountingWeb
from tests.support.images import jpeg, natural
from tests.support.runs import RESULT, counted, quick, refine

PICTURES = 9
BLURRED = 3
NO_SCORES = "scores.compute=[]"
ALL = 'scores.compute=["pixels"]'


@pytest.fixture(scope="module")
def web() -> Iterator[CountingWeb]:
    """Pictures of which the first ones are blurred; every second one is large, and is encoded again."""
    with CountingWeb(PICTURES) as found:
        for n in range(PICTURES):
            side = 700 if n % 2 else 300
            pixels = natural(side + n, side, seed=n)
            found.bodies[f"/{n}.jpg"] = jpeg(cv2.GaussianBlur(pixels, (0, 0), 6) if n < BLURRED else pixels, 90)
        yield found


@pytest.fixture
def source(web: CountingWeb, tmp_path: Path) -> str:
    web.requests.clear()
    return web.write_list(tmp_path / "list")


def settings(web: CountingWeb, *more: str) -> list[str]:
    return [*quick(web.host), "source.shard_rows=5", "export.val=0", "export.test=0", *more]


def files(root: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(root)): p.read_bytes() for f in RESULT for p in sorted((root / f).rglob("*")) if p.is_file()
    }


def test_a_new_scorer_over_a_finished_root_makes_its_table_and_nothing_else(
    web: CountingWeb, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "root"
    refine(str(root), source, settings(web, 'scores.compute=["tones"]'))
    before, requests = files(root), web.requests.total()
    reads: list[int] = []
    read = ImageReader.__call__

    def counting(self: ImageReader, offset: int, size: int) -> bytes:
        reads.append(offset)
        return read(self, offset, size)

    monkeypatch.setattr(ImageReader, "__call__", counting)
    monkeypatch.setattr(ScriptedModel, "complete", _never)
    outcomes = refine(str(root), source, settings(web, ALL))
    new = {f"score_{s.name}" for s in OWN} - {"score_tones"}
    assert {o.table for o in outcomes if o.status == "done"} == new
    assert web.requests.total() == requests and len(reads) == PICTURES, "each picture is decoded once for all scorers"
    after = files(root)
    written = {name for name in after if after[name] != before.get(name)}
    assert {name.split("/")[1] for name in written} - new <= {"README.md", "SHA256SUMS"}
    again = refine(str(root), source, settings(web, ALL))
    assert {o.status for o in again} == {"skipped"} and len(reads) == PICTURES


def _never(*args: object, **kwargs: object) -> None:
    raise AssertionError("a model was asked")


def test_scores_of_the_download_pass_are_taken_over_without_a_second_decode(
    web: CountingWeb, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("curation.scores.stored.stored_picture", _never)
    refine(str(tmp_path / "root"), source, settings(web, ALL))
    views = connect(str(tmp_path / "root"))
    for scorer in OWN:
        assert views.execute(f"SELECT count(*) FROM score_{scorer.name}").fetchone() == (PICTURES,)
    assert views.execute("SELECT count(jpeg_quality), min(jpeg_quality) FROM score_jpeg_history").fetchone() == (9, 90)


def test_scores_change_no_byte_of_what_there_was_without_them(web: CountingWeb, source: str, tmp_path: Path) -> None:
    plain, scored = tmp_path / "plain", tmp_path / "scored"
    refine(str(plain), source, settings(web))
    refine(str(scored), source, settings(web, ALL))
    before, after = files(plain), files(scored)
    cards = {"release/README.md", "release/SHA256SUMS"}
    assert {name: data for name, data in after.items() if name in before and name not in cards} == {
        name: data for name, data in before.items() if name not in cards
    }
    assert not any("score_" in name or "looks" in name for name in before)


def test_a_limit_rejects_before_captions_are_paid_for(
    web: CountingWeb, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = str(tmp_path / "root")
    refine(root, source, settings(web, "scores.sharpness.min=20"))
    assert counted(root).rejected == BLURRED and counted(root).kept == PICTURES - BLURRED
    views = connect(root)
    assert ("image_scores", "rejected", "low_sharpness", BLURRED) in views.execute("FROM funnel").fetchall()
    assert views.execute("SELECT count(DISTINCT sample_id) FROM captions").fetchone() == (PICTURES - BLURRED,)
    detail = views.execute("SELECT DISTINCT detail FROM samples WHERE reason = 'low_sharpness'").fetchall()
    assert all("scores.sharpness.min is 20" in text for (text,) in detail)
    assert remedy("low_sharpness") == "lower scores.sharpness.min"
    card = (tmp_path / "root/release/README.md").read_text()
    assert "| `scores.sharpness` |" in card and "## Scores of images" in card
    spread = views.execute("SELECT images, unknown, least, p50, most FROM score_percentiles").fetchall()
    exact = "SELECT count(*), 0, min(sharpness), quantile_disc(sharpness, 0.5), max(sharpness) FROM score_sharpness"
    assert spread == views.execute(exact).fetchall()
    # Without the limit the others are captioned, and nobody else again.
    requests = web.requests.total()
    refine(root, source, settings(web, "scores.sharpness.min=none"))
    assert counted(root).kept == PICTURES and web.requests.total() == requests


def test_a_root_that_was_made_before_is_scored_and_limited_from_its_stored_pictures(
    web: CountingWeb, source: str, tmp_path: Path
) -> None:
    root = str(tmp_path / "root")
    refine(root, source, settings(web))
    requests = web.requests.total()
    refine(root, source, settings(web, "scores.sharpness.min=20"))
    assert web.requests.total() == requests and counted(root).rejected == BLURRED


def test_an_unknown_score_keeps_its_picture(tmp_path: Path) -> None:
    folder = tmp_path / "source"
    folder.mkdir()
    for n in range(3):
        cv2.imwrite(str(folder / f"{n}.png"), natural(300, 280, seed=n))
        (folder / f"{n}.txt").write_text(f"picture {n} of three")
    root = str(tmp_path / "root")
    refine(root, str(folder), ["caption.backend=scripted", "export.val=0", "scores.jpeg_quality.min=90"])
    assert connect(root).execute("SELECT count(*), count(jpeg_quality) FROM score_jpeg_history").fetchone() == (3, 0)
    assert counted(root).kept == 3


def test_a_failing_scorer_loses_its_own_shards_and_no_download(
    web: CountingWeb, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = str(tmp_path / "root")
    with monkeypatch.context() as broken:
        broken.setattr("curation.scores.sharpness._sharpness", _broken)
        outcomes = refine(root, source, settings(web, "scores.sharpness.min=20"))
    failed = {o.table for o in outcomes if o.status == "failed"}
    assert failed == {"score_sharpness"}
    found = connect(root).execute("SELECT DISTINCT fate, stage, reason FROM samples").fetchall()
    assert found == [("failed", "score_sharpness", "shard_failed")]
    requests = web.requests.total()
    refine(root, source, settings(web, "scores.sharpness.min=20"))
    assert counted(root).rejected == BLURRED and web.requests.total() == requests


def _broken(*args: object) -> list[float]:
    raise RuntimeError("a scorer broke")


def test_an_interrupted_download_keeps_the_scores_that_it_had(
    web: CountingWeb, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    refine(str(whole), source, settings(web, ALL))
    with monkeypatch.context() as broken:
        # As if the run had been killed after the images were fetched, and before their shard was finished.
        broken.setattr("curation.fetch.output.statistics", _broken)
        refine(str(cut), source, settings(web, ALL))
    assert not Store(str(cut)).entries("images")
    refine(str(cut), source, settings(web, ALL))
    assert files(cut) == files(whole)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("scores.sharpnes.min=4", "scores.sharpnes limits a score that no scorer has; did you mean 'sharpness'?"),
        ('scores.compute=["tone"]', "scores.compute names 'tone', which is no scorer; did you mean 'tones'?"),
        ("scores.zzz.max=4", "expected one of sharpness, entropy"),
    ],
)
def test_a_score_that_nobody_knows_is_refused_before_any_work(
    web: CountingWeb, source: str, setting: str, said: str, tmp_path: Path
) -> None:
    recipe = load(RefineLaion, None, ["caption.backend=scripted", setting])
    with pytest.raises(RecipeError) as error:
        LAION_REFINED.ready(recipe, [source], Store(str(tmp_path / "root")))
    assert not (tmp_path / "root").exists() and not web.requests
    assert said in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("setting", ["scores.sharpness=4", "scores.sharpness.mni=4", "scores.sharpness={min=3,max=2}"])
def test_a_limit_that_is_none_is_refused(setting: str) -> None:
    with pytest.raises(RecipeError, match=r"scores\.sharpness"):
        load(RefineLaion, None, [setting])


REDNESS = '''
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

from curation.scores.scorer import Measure, Reads
from schemas.scores import ScoreColumn


@dataclass(frozen=True)
class Redness:
    """How red a picture is."""

    name: ClassVar[str] = "redness"
    version: ClassVar[int] = 1
    reads: ClassVar[Reads] = "pixels"
    cost: ClassVar[str] = "0.1 ms of one core an image"
    columns: ClassVar[tuple[ScoreColumn, ...]] = (ScoreColumn("redness", "mean of red", "share", 0, 1),)

    @contextmanager
    def open(self) -> Iterator[Measure]:
        yield lambda picture: [picture.pixels[..., 2].mean() / 255]


class Sloppy:
    """Has nothing that a scorer needs."""


@dataclass(frozen=True)
class Sharp(Redness):
    """Takes the name of another one's score."""

    name: ClassVar[str] = "sharp"
    columns: ClassVar[tuple[ScoreColumn, ...]] = (ScoreColumn("sharpness", "taken"),)
'''


def package(folder: Path, points: str) -> None:
    """A package as pip would install it."""
    (folder / "toy_scorers.py").write_text(REDNESS)
    info = folder / "toy_scorers-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-scorers\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[lapidary.scorers]\n{points}\n")


def test_a_package_adds_a_scorer_without_touching_the_project(
    web: CountingWeb, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "site").mkdir()
    package(tmp_path / "site", "redness = toy_scorers:Redness")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    told = command_line("flows.refine_laion", LAION_REFINED).format_help()
    assert "redness: How red a picture is." in told and "mean of red [share, 0..1]" in told and "low_redness" in told
    root = str(tmp_path / "root")
    refine(root, source, settings(web, "scores.redness.min=0.4"))
    views = connect(root)
    low, high = (f"SELECT count(*) FROM score_redness WHERE redness {sign} 0.4" for sign in ("<", ">="))
    rejected, kept = (views.execute(query).fetchone() for query in (low, high))
    assert (counted(root).rejected,) == rejected and (counted(root).kept,) == kept and rejected != (0,)
    assert ("image_scores", "rejected", "low_redness", counted(root).rejected) in views.execute(
        "FROM funnel"
    ).fetchall()
    assert remedy("low_redness") == "lower scores.redness.min"
    docs = dict(views.execute("SELECT coalesce(\"column\", ''), doc FROM docs WHERE view = 'score_redness'").fetchall())
    assert docs[""] == "How red a picture is." and docs["redness"].startswith("mean of red [share, 0..1]")
    monkeypatch.undo()  # the package is gone again
    sys.modules.pop("toy_scorers", None)
    with pytest.raises(RecipeError, match="redness limits a score that no scorer has"):
        refine(root, source, settings(web))
    assert connect(root).execute("SELECT count(*) FROM samples WHERE reason = 'low_redness'").fetchone() == rejected


def test_a_scorer_that_cannot_be_used_is_named_and_leaves_the_others_alone(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    points = ["gone = nowhere:Gone", "sloppy = toy_scorers:Sloppy", "taken = toy_scorers:Sharp"]
    package(tmp_path, "\n".join([*points, "redness = toy_scorers:Redness"]))
    monkeypatch.syspath_prepend(str(tmp_path))
    with caplog.at_level(logging.WARNING):
        found = installed()
    assert [s.name for s in found.scorers] == [*(s.name for s in (*OWN, *WITH_MODELS)), "redness"]
    assert found.broken.keys() == {"gone", "sloppy", "taken"}
    assert len(caplog.messages) == 3 and all("toy-scorers" in line and "\n" not in line for line in caplog.messages)
    with pytest.raises(RecipeError, match="frozen dataclass"):
        LAION_REFINED.ready(
            load(RefineLaion, None, ["caption.backend=scripted", 'scores.compute=["sloppy"]']), [source]
        )
    sys.modules.pop("toy_scorers", None)


def test_scores_are_kept_by_scorer_and_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of another version are not taken over."""
    from curation.scores.score_stage import ScoreStage

    before = ScoreStage(Sharpness()).key
    monkeypatch.setattr(Sharpness, "version", 2)
    assert ScoreStage(Sharpness()).key != before
    assert json.loads(_looks([ScoreStage(Sharpness())])).keys() == {ScoreStage(Sharpness()).key}


def _looks(stages: list) -> bytes:  # type: ignore[type-arg]
    from curation.images.picture import Picture

    with in_download.DownloadScores(tuple(stages)).open() as look:
        return look(Picture(natural(300, 280)))


def test_products_of_images_have_the_stage_before_a_model_is_asked() -> None:
    for product in (LAION_REFINED, EXPANSION):
        recipe = load(product.recipe, None, ["scores.sharpness.min=40"])
        names = [p.name for step in product.steps(recipe, ()) for p in step.active]
        assert names.index("score_sharpness") < names.index("image_scores") < names.index("recaption")
        assert not any("score_" in p.name for step in product.steps(product.recipe(), ()) for p in step.active)


@pytest.mark.ray
def test_scores_on_ray_are_those_of_one_process(
    web: CountingWeb, source: str, ray_engine: RayEngine, tmp_path: Path
) -> None:
    refine(str(tmp_path / "here"), source, settings(web, ALL))
    refine(str(tmp_path / "ray"), source, settings(web, ALL), ray_engine)
    here, ray = files(tmp_path / "here"), files(tmp_path / "ray")
    assert ray == here

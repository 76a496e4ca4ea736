"""Laws of the scorers that ask a model: what was drawn into a picture is found there."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from skimage import data as photographs

from curation.catalog import connect
from curation.core.errors import ModelError, RecipeError
from curation.core.recipes import load
from curation.core.stage import digest
from curation.core.store import Store
from curation.demo.render import render
from curation.demo.world import scene
from curation.images.picture import Picture
from curation.products.refine import LAION_REFINED
from curation.scores.chosen import ChosenScores
from curation.scores.installed import WITH_MODELS
from curation.scores.models.ocr import Ocr
from curation.scores.models.writing import language_of, script_of, words_in
from curation.scores.score_stage import ScoreStage
from curation.scores.scorer import Measure, Scorer, checked, rounded
from curation.scores.sharpness import Sharpness
from schemas.refine import RefineLaion
from schemas.scores import ImageScores
from tests.support.runs import counted, refine

Pixels = NDArray[np.uint8]
BOARD = next(n for n in range(100) if scene(7, n).board)
CARRIED = [s for s in WITH_MODELS if s.name != "aesthetic"]  # their models lie in packages
PLAIN = next(n for n in range(100) if not scene(7, n).board)


@pytest.fixture(scope="module")
def measures() -> Iterator[Mapping[str, Measure]]:
    with ExitStack() as stack:
        yield {s.name: stack.enter_context(checked(s).open()) for s in CARRIED}


def measured(measures: Mapping[str, Measure], name: str, pixels: Pixels) -> Mapping[str, float | str | None]:
    scorer = next(s for s in WITH_MODELS if s.name == name)
    values = rounded(scorer, measures[name](Picture(np.ascontiguousarray(pixels))))
    return dict(zip((c.name for c in scorer.columns), values, strict=True))


def demo(index: int) -> Pixels:
    return render(scene(7, index))[..., ::-1]


def marked(pixels: Pixels, text: str, opacity: float, at: tuple[float, float]) -> Pixels:
    """The picture with white text, its middle in shares of width and height."""
    height, width = pixels.shape[:2]
    layer = Image.new("L", (width, height))
    font = ImageFont.load_default(height // 14)
    ImageDraw.Draw(layer).text((at[0] * width, at[1] * height), text, 255, font=font, anchor="mm")
    share = np.asarray(layer, float)[..., None] / 255 * opacity
    return np.asarray(pixels * (1 - share) + 255 * share, np.uint8)


def test_a_written_word_is_read_where_it_stands(measures: Mapping[str, Measure]) -> None:
    board = scene(7, BOARD).board
    assert board is not None
    found = measured(measures, "ocr", demo(BOARD))
    assert board.word.lower() in str(found["text_read"]).lower() and found["text_script"] == "latin"
    assert found["text_places"] == found["text_words"] == 1 and 0 < float(found["text_share"] or 0) < 0.3
    ((left, top, right, bottom),) = json.loads(str(found["text_boxes"]))
    assert left < board.x < right and top < board.y < bottom
    assert float(found["watermark"] or 0) < 0.5


def test_a_picture_without_words_has_none(measures: Mapping[str, Measure]) -> None:
    found = measured(measures, "ocr", demo(PLAIN))
    assert found["text_places"] == found["text_words"] == found["text_share"] == 0
    assert found["text_read"] == "" and found["text_script"] is None and found["text_language"] is None


@pytest.mark.parametrize(
    ("text", "opacity", "at", "likely"),
    [
        ("shutterstock", 0.4, (0.5, 0.5), True),
        ("www.jane-miller.com", 0.7, (0.7, 0.94), True),
        ("MARKET HALL", 1.0, (0.5, 0.25), False),
    ],
)
def test_a_watermark_is_told_from_a_sign(
    measures: Mapping[str, Measure], text: str, opacity: float, at: tuple[float, float], likely: bool
) -> None:
    dark = np.asarray(photographs.coffee()[..., ::-1] // 3, np.uint8)
    found = measured(measures, "ocr", marked(dark, text, opacity, at))
    assert (float(found["watermark"] or 0) >= 0.5) == likely, found


def test_words_script_and_language_are_those_of_the_text() -> None:
    assert script_of("Straße 12") == "latin" and script_of("東京タワー駅前東口") == "han" and script_of("12 34") is None
    assert words_in("two words") == 2 and words_in("don't 24/7") == 3 and words_in("東京") == 2 and words_in("") == 0
    assert language_of("WELCOME TO THE FARMERS MARKET\nOPEN EVERY SATURDAY MORNING") == "en"
    assert language_of("HERZLICH WILLKOMMEN AUF UNSEREM WOCHENMARKT AN JEDEM SAMSTAG") == "de"
    assert language_of("OPEN") is None


def test_faces_are_counted_and_the_largest_is_measured(measures: Mapping[str, Measure]) -> None:
    astronaut = photographs.astronaut()[..., ::-1]
    one = measured(measures, "faces", astronaut)
    two = measured(measures, "faces", np.hstack([astronaut, cv2.resize(astronaut, (256, 256)).repeat(2, 0)[:512]]))
    assert one["face_count"] == 1 and 0.02 < float(one["largest_face"] or 0) < 0.08
    ((left, top, right, bottom),) = json.loads(str(one["face_boxes"]))
    assert left < 0.44 < right and top < 0.22 < bottom
    assert float(two["largest_face"] or 0) < float(one["largest_face"] or 0)
    none = measured(measures, "faces", photographs.coffee()[..., ::-1])
    assert (none["face_count"], none["largest_face"], none["face_boxes"]) == (0, 0, "[]")


def test_harmless_pictures_are_not_taken_for_unsafe_ones(measures: Mapping[str, Measure]) -> None:
    pictures = [photographs.astronaut(), photographs.coffee(), photographs.chelsea(), demo(PLAIN)[..., ::-1]]
    assert all(float(measured(measures, "nsfw", p[..., ::-1])["nsfw"] or 0) < 0.2 for p in pictures)


@pytest.mark.parametrize("scorer", CARRIED, ids=lambda s: s.name)
@pytest.mark.parametrize("size", [(1, 1), (1, 700), (7, 300), (64, 64)])
def test_scores_of_odd_pictures_lie_in_their_range(
    measures: Mapping[str, Measure], scorer: Scorer, size: tuple[int, int]
) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    for column, value in zip(scorer.columns, measured(measures, scorer.name, noise).values(), strict=True):
        assert not isinstance(value, float) or (column.low or 0) <= value <= (column.high or 1e9), column


def test_a_missing_extra_is_named_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "rapidocr" else find(name))
    recipe = load(RefineLaion, None, ["caption.backend=scripted", "scores.text_words.max=0"])
    (tmp_path / "source").mkdir()
    Image.new("RGB", (300, 300)).save(tmp_path / "source/a.png")
    with pytest.raises(ModelError, match=r"rapidocr.*lapidary-curation\[ocr\]"):
        LAION_REFINED.ready(recipe, [str(tmp_path / "source")], Store(str(tmp_path / "root")))


def test_a_share_holds_the_images_of_a_smaller_one() -> None:
    names = [f"sample-{n}" for n in range(4000)]
    half, tenth = ({n for n in names if ScoreStage(Sharpness(), share=share).measures(n)} for share in (0.5, 0.1))
    assert tenth < half and abs(len(half) - 2000) < 150 and abs(len(tenth) - 400) < 100
    assert digest(ScoreStage(Sharpness(), share=1.0)) == digest(ScoreStage(Sharpness()))
    assert digest(ScoreStage(Sharpness(), share=0.5)) != digest(ScoreStage(Sharpness()))


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("scores.sampled={ocs=0.5}", "scores.sampled names 'ocs', which is no scorer; did you mean 'ocr'?"),
        ("scores.text_read.max=4", "scores.text_read limits a text; expected a score that is a number"),
    ],
)
def test_what_scorers_cannot_do_is_refused(setting: str, said: str) -> None:
    recipe = load(RefineLaion, None, ["caption.backend=scripted", setting])
    with pytest.raises(RecipeError) as error:
        ChosenScores.of(recipe.scores).step.ready(None)
    assert said in str(error.value)


def test_a_share_of_nothing_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"ocr = 0 is no share"):
        load(RefineLaion, None, ["scores.sampled={ocr=0}"])


def test_models_are_asked_of_stored_pictures_and_never_in_the_download() -> None:
    chosen = ChosenScores.of(ImageScores(compute=["pixels", "ocr"], sampled={"tones": 0.5}))
    assert chosen.in_download is not None
    assert {s.scorer.name for s in chosen.in_download.stages} == {
        s.scorer.name for s in chosen.step.through if s.on and isinstance(s, ScoreStage)
    } - {"ocr", "tones"}


def test_text_in_pictures_rejects_before_captions_and_is_on_the_card(tmp_path: Path) -> None:
    folder = tmp_path / "source"
    folder.mkdir()
    for name, index in (("board", BOARD), ("plain", PLAIN)):
        cv2.imwrite(str(folder / f"{name}.png"), np.ascontiguousarray(demo(index)))
        (folder / f"{name}.txt").write_text(f"a picture of a {name}")
    root = str(tmp_path / "root")
    settings = ["caption.backend=scripted", "export.val=0", "export.test=0", "check.names=ignore"]
    refine(root, str(folder), [*settings, "scores.text_words.max=0"])
    views = connect(root)
    assert counted(root).kept == counted(root).rejected == 1
    assert views.execute("SELECT reason FROM samples WHERE fate = 'rejected'").fetchone() == ("high_text_words",)
    assert views.execute("SELECT count(text_script) FROM score_ocr").fetchone() == (1,)
    names = [n for (n,) in views.execute("SELECT score FROM score_percentiles").fetchall()]
    assert "watermark" in names and "text_read" not in names
    outcomes = refine(root, str(folder), [*settings, "scores.text_words.max=none", "scores.sampled={ocr=1.0}"])
    assert "score_ocr" not in {o.table for o in outcomes if o.status == "done"}, "the texts are read once"
    refine(root, str(folder), [*settings, 'scores.compute=["ocr"]'])
    card = (tmp_path / "root/release/README.md").read_text()
    assert "| `text_script` |" in card and "latin (1)" in card
    assert "- 1 of 2 images (50.0%) show written words." in card


def test_settings_of_ocr_are_part_of_its_digest() -> None:
    plain = ImageScores()
    more = ImageScores.model_validate({"ocr": {"stock_phrases": ["jane miller"]}})
    stages = [
        next(s for s in ChosenScores.of(recipe).step.through if s.name == "score_ocr") for recipe in (plain, more)
    ]
    assert digest(stages[0]) == digest(ScoreStage(Ocr())) != digest(stages[1])

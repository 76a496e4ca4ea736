"""Laws of the scorers of pixels: what is done to a picture shows in its scores."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from curation.images.picture import Picture
from curation.images.shrink import shrunk
from curation.scores.installed import OWN
from curation.scores.jpeg_history import luminance_table
from curation.scores.scorer import Scorer, record_of, rounded
from schemas.arrow import schema_of
from tests.support.images import encoded, natural

Pixels = NDArray[np.uint8]
SCORERS = {scorer.name: scorer for scorer in OWN}


def scores(
    name: str, pixels: Pixels, original: bytes | None = None, decoded: Pixels | None = None
) -> Mapping[str, float | None]:
    scorer = SCORERS[name]
    with scorer.open() as measure:
        values = rounded(scorer, measure(Picture(pixels, original, decoded)))
    return {column.name: value for column, value in zip(scorer.columns, values, strict=True)}


def score(name: str, pixels: Pixels) -> float:
    """A score that is called as its scorer is."""
    found = scores(name, pixels)[name]
    assert found is not None
    return found


def decoded(data: bytes) -> Pixels:
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), np.uint8)


@pytest.mark.parametrize("scorer", OWN, ids=lambda s: s.name)
@pytest.mark.parametrize("size", [(1, 1), (1, 700), (3, 2), (64, 64), (7, 900), (300, 256), (513, 700)])
def test_every_score_of_every_picture_lies_in_its_range(scorer: Scorer, size: tuple[int, int]) -> None:
    random = np.random.default_rng(1)
    noise = random.integers(0, 256, (*size, 3), np.uint8)
    for pixels in (noise, np.zeros_like(noise), np.full_like(noise, 255), noise // 2 * 2):
        data = encoded(pixels[..., ::-1], "JPEG", quality=80)
        for picture in ((pixels, None, None), (decoded(data), data, decoded(data))):
            for column, value in zip(scorer.columns, scores(scorer.name, *picture).values(), strict=True):
                assert value is None or (column.low is None or value >= column.low), column
                assert value is None or (column.high is None or value <= column.high), column


@pytest.mark.parametrize("scorer", OWN, ids=lambda s: s.name)
def test_every_score_is_documented(scorer: Scorer) -> None:
    schema = schema_of(record_of(scorer))
    assert schema.names == ["sample_id", *(c.name for c in scorer.columns)]
    assert all(
        c.doc and (schema.field(c.name).metadata or {})[b"doc"].decode().startswith(c.doc) for c in scorer.columns
    )


@pytest.mark.parametrize("size", [(512, 512), (512, 701), (300, 350), (220, 240)])
def test_sharpness_falls_with_every_blur(size: tuple[int, int]) -> None:
    pixels = natural(size[1], size[0])
    found = [score("sharpness", cv2.GaussianBlur(pixels, (0, 0), sigma)) for sigma in (0.8, 1.2, 1.8, 2.7, 4, 6)]
    assert all(a > b for a, b in pairwise([score("sharpness", pixels), *found]))


def test_sharpness_is_that_of_one_size() -> None:
    """The same scene exported at several sizes is as sharp, where the variance at each size itself is not."""
    exported = [shrunk(natural(1024, 1024), side, side) for side in (1024, 768, 512, 384)]
    found = [score("sharpness", pixels) for pixels in exported]
    plain = [float(cv2.Laplacian(cv2.cvtColor(p, cv2.COLOR_BGR2GRAY), cv2.CV_16S).var()) for p in exported]
    assert max(found) / min(found) < 1.5 < max(plain) / min(plain)


def test_a_long_strip_takes_no_more_memory_than_it_has() -> None:
    strip = Picture(np.zeros((1, 65_500, 3), np.uint8))
    assert strip.small.size == 65_500
    assert Picture(np.zeros((200, 1000, 3), np.uint8)).small.shape == (256, 1280)


def test_tones_are_those_of_the_histogram() -> None:
    half = np.zeros((256, 256, 3), np.uint8)
    half[:, 128:] = 255
    assert scores("tones", half) == {
        "entropy": 1.0, "brightness": 0.5, "contrast": 0.5, "dark_share": 0.5, "blown_share": 0.5
    }  # fmt: skip
    flat = scores("tones", np.full((300, 300, 3), 128, np.uint8))
    assert flat["entropy"] == flat["contrast"] == flat["dark_share"] == flat["blown_share"] == 0
    steps = np.repeat(np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16), 16, 0), 16, 1)
    assert scores("tones", np.dstack([steps] * 3))["entropy"] == 8


def test_a_grey_picture_has_no_colour_and_more_saturation_shows() -> None:
    pixels = natural(320, 300)
    grey = cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    assert set(scores("colourfulness", grey).values()) == {0.0}
    mixed = [cv2.addWeighted(pixels, share, grey, 1 - share, 0) for share in (0.25, 0.5, 0.75, 1)]
    for name in ("saturation", "colourfulness"):
        found = [scores("colourfulness", p)[name] or 0 for p in mixed]
        assert all(a < b for a, b in pairwise(found))
    red = np.zeros((64, 64, 3), np.uint8)
    red[..., 2] = 255
    assert scores("colourfulness", red)["saturation"] == 1


@given(
    widths=st.tuples(*[st.integers(0, 90)] * 4),
    colour=st.tuples(*[st.integers(0, 255)] * 3),
    lossy=st.booleans(),
)
def test_a_border_of_n_pixels_is_found_as_n(
    widths: tuple[int, int, int, int], colour: tuple[int, int, int], lossy: bool
) -> None:
    left, right, top, bottom = widths
    inner = natural(260, 240)
    # Neither the first nor the last lines of the picture itself are of the border's colour.
    for line in (inner[0], inner[-1], inner[:, 0], inner[:, -1]):
        line[::2], line[1::2] = (np.array(colour) + 128) % 256, (np.array(colour) + 90) % 256
    framed = cv2.copyMakeBorder(inner, top, bottom, left, right, cv2.BORDER_CONSTANT, value=colour)
    pixels = decoded(encoded(framed[..., ::-1], "JPEG", quality=95, subsampling=0)) if lossy else framed
    found = scores("borders", pixels)
    for side, width in zip(("left", "right", "top", "bottom"), widths, strict=True):
        assert abs((found[f"border_{side}"] or 0) - width) <= (1 if lossy else 0), (side, found, widths)
    share = 1 - inner.shape[0] * inner.shape[1] / (framed.shape[0] * framed.shape[1])
    assert abs((found["border_share"] or 0) - share) < (0.02 if lossy else 1e-4)


@pytest.mark.parametrize("quality", [5, 30, 50, 75, 90, 95, 100])
@pytest.mark.parametrize("writer", ["pillow", "opencv"])
def test_quality_is_read_from_the_tables_of_the_original(quality: int, writer: str) -> None:
    pixels = natural(300, 280)
    data = (
        encoded(pixels, "JPEG", quality=quality)
        if writer == "pillow"
        else cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
    )
    assert scores("jpeg_history", pixels, data)["jpeg_quality"] == quality
    assert scores("jpeg_history", pixels)["jpeg_quality"] is None, "nothing is guessed from stored pixels"


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_what_is_no_jpeg_has_no_quality(kind: str) -> None:
    pixels = natural(100, 90)
    assert set(scores("jpeg_history", pixels, encoded(pixels, kind), pixels).values()) == {None}


@given(data=st.binary(max_size=200), at=st.integers(0, 600), cut=st.integers(0, 600))
def test_damaged_bytes_have_no_quality_and_do_no_harm(data: bytes, at: int, cut: int) -> None:
    whole = encoded(natural(64, 64), "JPEG", quality=60)
    for bytes_ in (b"\xff\xd8" + data, whole[:cut], whole[:at] + data + whole[at + len(data) :]):
        table = luminance_table(bytes_)
        assert table is None or table.shape == (64,)
        scores("jpeg_history", natural(64, 64), bytes_, natural(64, 64))


def test_a_second_compression_shows_in_the_coefficients() -> None:
    pixels = natural(640, 600)
    once = encoded(pixels, "JPEG", quality=90, subsampling=0)
    twice = encoded(Image.fromarray(decoded(encoded(pixels, "JPEG", quality=60))[..., ::-1]), "JPEG", quality=90)
    single, double = (
        scores("jpeg_history", decoded(data), data, decoded(data))["double_compression"] or 0 for data in (once, twice)
    )
    assert double > 2 * single


@pytest.mark.parametrize("way", [cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4])
def test_a_picture_that_was_enlarged_lacks_fine_detail(way: int) -> None:
    pixels = natural(640, 512)
    found = [score("upscaling", pixels)]
    for factor in (1.5, 2, 3):
        small = shrunk(pixels, round(640 / factor), round(512 / factor))
        found.append(score("upscaling", np.asarray(cv2.resize(small, (640, 512), interpolation=way), np.uint8)))
    assert min(found[1:]) > found[0] + 0.3


def test_a_seam_from_edge_to_edge_makes_a_collage() -> None:
    pictures = [natural(300, 300, seed=n) for n in range(4)]
    beside = np.hstack([cv2.add(pictures[0], 60), cv2.subtract(pictures[1], 60)])
    above = np.vstack([cv2.add(pictures[2], 60), cv2.subtract(pictures[3], 60)])
    alone = max(scores("layout", p)["collage"] or 0 for p in pictures)
    assert all((scores("layout", p)["collage"] or 0) > max(0.9, alone) for p in (beside, above))


def screen() -> Pixels:
    """A drawn window with a bar, lists and lines of text."""
    image = Image.new("RGB", (800, 600), (245, 246, 248))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, 800, 40), fill=(40, 60, 90))
    for n in range(14):
        draw.rectangle((16, 60 + 36 * n, 210, 88 + 36 * n), fill=(255, 255, 255), outline=(120, 120, 120))
        draw.text((240, 66 + 36 * n), f"line number {n} of a document with words in it", fill=(20, 20, 20))
    return np.asarray(image)[..., ::-1].copy()


def test_a_screen_is_flat_and_has_level_edges() -> None:
    drawn, seen = scores("layout", screen()), scores("layout", natural(800, 600))
    assert (drawn["flat_share"] or 0) > 0.5 > (seen["flat_share"] or 0)
    assert (drawn["screenshot"] or 0) > 0.4 > 2 * (seen["screenshot"] or 0)


def test_scores_depend_on_the_pixels_alone() -> None:
    """Not on how they lie in memory, nor on what was measured before."""
    pixels = natural(512, 700)
    turned = np.ascontiguousarray(pixels[::-1])[::-1]
    for scorer in OWN:
        assert scores(scorer.name, pixels) == scores(scorer.name, turned) == scores(scorer.name, pixels)

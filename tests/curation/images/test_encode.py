"""The file that is exported: its format, its colours, and when the bytes that came in are kept."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, JpegImagePlugin
from pydantic import ValidationError

from curation.images.facts import PixelsRejected
from curation.images.pixels import prepare
from curation.images.sniff import exported_format, extension
from schemas.reasons import Reason
from schemas.recipe import Download
from tests.support.images import encoded, exif, jpeg, natural, opened, srgb_profile, swapped_profile, untouched
from tests.support.sharpness import chroma_psnr

PICTURE = natural(96, 80, 4)


def saturated() -> Image.Image:
    """Thin red and blue lines side by side: what halved colours blur."""
    pixels = np.full((120, 120, 3), (255, 255, 255), np.uint8)
    pixels[:, ::6], pixels[:, 1::6], pixels[::10] = (255, 0, 0), (0, 0, 255), (255, 0, 200)
    return Image.fromarray(pixels)


@pytest.mark.parametrize(("name", "ending"), [("jpeg", "jpg"), ("webp", "webp"), ("png", "png")])
def test_the_exported_bytes_are_of_the_format_asked_for(name: str, ending: str) -> None:
    for source in (jpeg(PICTURE), encoded(PICTURE, "PNG"), encoded(PICTURE, "WEBP", quality=95)):
        made = prepare(source, untouched(format=name))
        seen = Image.open(io.BytesIO(made.data))
        assert (seen.format or "").lower() == name == exported_format(made.data)
        assert extension(made.data) == ending == Download(format=name).extension
        assert (*seen.size, seen.mode) == (96, 80, "RGB") and "exif" not in seen.info


def test_png_is_lossless_and_hashes_do_not_depend_on_the_format() -> None:
    source = encoded(PICTURE, "PNG")
    made = {name: prepare(source, untouched(format=name)) for name in ("jpeg", "webp", "png")}
    assert np.array_equal(opened(made["png"].data), PICTURE)
    assert len({(m.phash, m.phash256, m.colours) for m in made.values()}) == 1
    assert len({m.sha256 for m in made.values()}) == 3


@pytest.mark.parametrize(("chroma", "layers"), [(420, 2), (444, 0)])
def test_chroma_is_what_the_recipe_says(chroma: int, layers: int) -> None:
    made = prepare(encoded(PICTURE, "PNG"), untouched(chroma=chroma))
    assert JpegImagePlugin.get_sampling(Image.open(io.BytesIO(made.data))) == layers


def test_full_chroma_keeps_saturated_graphics() -> None:
    source = encoded(saturated(), "PNG")
    exact = np.asarray(saturated())
    kept, halved = (
        chroma_psnr(opened(prepare(source, untouched(chroma=c)).data).astype(np.uint8), exact) for c in (444, 420)
    )
    assert kept > halved + 6


@pytest.mark.parametrize(("spelled", "meant"), [("444", 444), ("4:4:4", 444), (420, 420), ("4:2:0", 420)])
def test_chroma_may_be_spelled_as_people_do(spelled: object, meant: int) -> None:
    assert Download.model_validate({"chroma": spelled}).chroma == meant


def test_what_a_format_cannot_do_is_refused_with_a_way_out() -> None:
    with pytest.raises(ValidationError, match=r'444, which WebP does not have; set download.format to "jpeg" or "png"'):
        Download(format="webp", chroma=444)
    with pytest.raises(ValidationError, match="420 or 444"):
        Download.model_validate({"chroma": 422})
    wide = encoded(np.zeros((2, 20_000, 3), np.uint8), "PNG")
    with pytest.raises(PixelsRejected, match="20000x2 when exported, a webp has 16383 a side") as raised:
        prepare(wide, untouched(format="webp"))
    assert raised.value.reason is Reason.TOO_MANY_PIXELS
    assert prepare(wide, untouched(format="png")).width == prepare(wide, untouched()).width == 20_000


def test_a_webp_that_needs_nothing_keeps_its_bytes_where_webp_is_exported() -> None:
    plain = encoded(PICTURE, "WEBP", quality=90)
    titled = encoded(PICTURE, "WEBP", quality=90, exif=exif(1), icc_profile=srgb_profile())
    for data in (plain, titled):
        made = prepare(data, untouched(format="webp", keep_metadata=True))
        assert made.unchanged and made.data == data and made.sha256 == made.original_sha256
        assert not prepare(data, untouched(format="jpeg")).unchanged
    with_alpha = Image.fromarray(PICTURE).convert("RGBA")
    with_alpha.putpixel((3, 3), (0, 0, 0, 0))
    for changed in (
        encoded(PICTURE, "WEBP", lossless=True),
        encoded(with_alpha, "WEBP"),
        encoded(PICTURE, "WEBP", quality=90, exif=exif(6)),
        encoded(PICTURE, "WEBP", quality=90, icc_profile=swapped_profile()),
    ):
        assert not prepare(changed, untouched(format="webp")).unchanged
    assert not prepare(plain, Download(size=40, min_side=1, format="webp")).unchanged

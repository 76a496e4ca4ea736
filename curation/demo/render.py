"""Draws a scene and photographs it."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pictures
from PIL import ImageDraw, ImageFont

from curation.demo.backgrounds import background
from curation.demo.drawings import DRAWINGS
from curation.demo.layout import placing
from curation.demo.shapes import INK, Rgb, draw
from curation.demo.truth import Board, Photo, Scene, generator
from curation.demo.vocabulary import COLOURS

Image = NDArray[np.uint8]
_TILE = 1024
_BRIGHT_INK: Rgb = (150, 150, 162)
_BOARD: Rgb = (250, 246, 232)


def render(scene: Scene) -> Image:
    """The scene's pixels, RGB, shape (height, width, 3), before JPEG; the same for equal scenes."""
    canvas = background(scene.setting, scene.width, scene.height)
    dark_ground = scene.setting.kind in ("night sky", "forest")
    for thing in scene.objects:
        main = COLOURS[thing.colour]
        outline = _BRIGHT_INK if thing.colour == "black" or (dark_ground and thing.colour == "brown") else INK
        for instance in thing.instances:
            draw(canvas, DRAWINGS[thing.kind], placing(instance, scene.width, scene.height), main, outline)
    if scene.board:
        _write(canvas, scene.board)
    return _photograph(canvas, scene.photo)


def jpeg(scene: Scene) -> bytes:
    """The scene as the JPEG file that its photo settings ask for."""
    return encode(render(scene), scene.photo.quality)


def encode(pixels: Image, quality: int) -> bytes:
    """RGB pixels as JPEG. Raises ``ValueError`` when they cannot be encoded."""
    done, data = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError(f"cannot encode pixels of shape {pixels.shape}")
    return bytes(data)


def _write(canvas: Image, board: Board) -> None:
    h, w = canvas.shape[:2]
    glyphs = _word(board.word, round(min(h, w) * 0.075))
    gh, gw = glyphs.shape
    x, y = round(board.x * w - gw / 2), round(board.y * h - gh / 2)
    pad = round(min(h, w) * 0.02)
    corners = (x - pad, y - pad), (x + gw + pad, y + gh + pad)
    cv2.rectangle(canvas, *corners, _BOARD, -1)
    cv2.rectangle(canvas, *corners, INK, max(1, pad // 3), cv2.LINE_AA)
    x, y = max(0, x), max(0, y)
    view = canvas[y : y + gh, x : x + gw]
    share = glyphs[: view.shape[0], : view.shape[1], None].astype(np.float32) / 255
    view[:] = (view * (1 - share) + np.array(INK, np.float32) * share).astype(np.uint8)


@cache
def _word(word: str, height: int) -> Image:
    """The word's coverage, 0 to 255, cut to its bounds. The font is Aileron (CC0), which Pillow carries."""
    font = ImageFont.load_default(height * 1.3)
    x0, y0, x1, y1 = (round(v) for v in font.getbbox(word))
    picture = Pictures.new("L", (x1 - x0, y1 - y0))
    ImageDraw.Draw(picture).text((-x0, -y0), word, fill=255, font=font)
    return np.asarray(picture)


def _photograph(canvas: Image, photo: Photo) -> Image:
    """Turn, light, blur and noise, in the order in which a camera meets them."""
    rng = generator(photo.seed)
    h, w = canvas.shape[:2]
    turn = cv2.getRotationMatrix2D((w / 2, h / 2), photo.degrees, 1.0)
    image: Image = cv2.warpAffine(canvas, turn, (w, h), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    image = cv2.multiply(image, _light(photo, rng, w, h), scale=1 / 128)
    if photo.blur > 0.2:
        image = cv2.GaussianBlur(image, (0, 0), photo.blur)
    if photo.noise > 0.5:
        y, x = rng.integers(0, _TILE - h), rng.integers(0, _TILE - w)
        brighter, darker = _noise(round(photo.noise))
        image = cv2.subtract(cv2.add(image, brighter[y : y + h, x : x + w]), darker[y : y + h, x : x + w])
    return image


def _light(photo: Photo, rng: np.random.Generator, width: int, height: int) -> Image:
    """A smooth field of light, 128 is neutral: exposure, a random unevenness and a vignette."""
    uneven = cv2.resize(rng.standard_normal((3, 3)), (16, 16), interpolation=cv2.INTER_CUBIC)
    y, x = np.mgrid[-1:1:16j, -1:1:16j]
    field = (
        photo.exposure * (1 + photo.contrast * np.clip(uneven, -1.3, 1.3)) * (1 - photo.vignette * (x * x + y * y) / 2)
    )
    smooth = cv2.resize(np.clip(field * 128, 0, 255).astype(np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)
    light: Image = cv2.cvtColor(smooth, cv2.COLOR_GRAY2RGB)
    return light


@cache
def _noise(sigma: int) -> tuple[Image, Image]:
    """What noise adds and what it takes away, as two tiles to cut from."""
    noise = generator(20407, sigma).standard_normal((_TILE, _TILE, 3), dtype=np.float32) * sigma
    return np.clip(noise, 0, 255).astype(np.uint8), np.clip(-noise, 0, 255).astype(np.uint8)

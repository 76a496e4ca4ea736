"""Pictures with nearly the same hash that show different things: what differs is colour, or small on a plain ground.

The kinds are those that users of perceptual hashes report: products in several colours, recoloured logos, flat
pictures, gradients, texts on a plain ground, and screenshots in a light and a dark theme.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]
COLOURS: Mapping[str, Colour] = {
    "red": (220, 20, 30),
    "blue": (20, 40, 220),
    "green": (10, 130, 30),
    "yellow": (250, 220, 20),
    "orange": (250, 140, 10),
    "purple": (130, 10, 140),
    "pink": (250, 150, 180),
    "sky": (130, 205, 235),
    "teal": (0, 130, 130),
    "black": (0, 0, 0),
    "white": (255, 255, 255),
}
SHADES: Mapping[str, Colour] = {f"grey {level}": (level, level, level) for level in (40, 90, 128, 180)}


def shirt(colour: Colour, ground: Colour = (236, 236, 236)) -> Image.Image:
    picture = Image.new("RGB", (400, 400), ground)
    outline = [(100, 80), (160, 60), (240, 60), (300, 80), (360, 150), (310, 190), (290, 160), (290, 340), (110, 340)]
    ImageDraw.Draw(picture).polygon([*outline, (110, 160), (90, 190), (40, 150)], fill=colour)
    return picture


def mug(colour: Colour) -> Image.Image:
    """A product with a shaded side and a handle."""
    picture = Image.new("RGB", (500, 400), (244, 240, 230))
    draw = ImageDraw.Draw(picture)
    draw.ellipse((280, 130, 400, 270), outline=colour, width=22)
    for x in range(140, 321):
        light = 0.75 + 0.25 * np.sin((x - 140) / 180 * np.pi)
        draw.line((x, 90, x, 320), fill=tuple(round(c * light) for c in colour))
    return picture


def logo(colour: Colour) -> Image.Image:
    picture = Image.new("RGB", (512, 512), (250, 250, 250))
    draw = ImageDraw.Draw(picture)
    draw.ellipse((190, 130, 320, 260), outline=colour, width=26)
    draw.text((256, 340), "ACME", font=ImageFont.load_default(90), fill=colour, anchor="mm")
    return picture


def banner(colour: Colour) -> Image.Image:
    """Text on a ground of that colour."""
    picture = Image.new("RGB", (600, 300), colour)
    shade = (255, 255, 255) if sum(colour) < 500 else (20, 20, 20)
    ImageDraw.Draw(picture).text((300, 150), "SALE", font=ImageFont.load_default(110), fill=shade, anchor="mm")
    return picture


def gradient(colour: Colour) -> Image.Image:
    """From the colour on the left to a grey on the right."""
    along = np.linspace(0, 1, 400)[None, :, None]
    pixels = (1 - along) * np.array(colour, float) + along * 128.0
    return Image.fromarray(np.repeat(pixels, 300, axis=0).astype(np.uint8))


def flat(colour: Colour) -> Image.Image:
    return Image.new("RGB", (300, 300), colour)


RECOLOURED: Mapping[str, Callable[[Colour], Image.Image]] = {
    "shirt": shirt, "mug": mug, "logo": logo, "banner": banner, "gradient": gradient, "flat": flat,
}  # fmt: skip


def card(number: int) -> Image.Image:
    """A short text on a plain ground."""
    picture = Image.new("RGB", (600, 400), (255, 255, 255))
    ImageDraw.Draw(picture).text(
        (300, 200), f"ROOM {100 + 37 * number}", font=ImageFont.load_default(64), fill=(0, 0, 0), anchor="mm"
    )
    return picture


def invoice(number: int) -> Image.Image:
    """The same form, filled in differently."""
    random = np.random.default_rng(number)
    picture = Image.new("RGB", (600, 800), (255, 255, 255))
    draw = ImageDraw.Draw(picture)
    draw.text((50, 40), "INVOICE", font=ImageFont.load_default(40), fill=(0, 0, 0))
    draw.line((50, 100, 550, 100), fill=(0, 0, 0), width=3)
    letters = np.array(list("abcdefghiklmnoprstuvw"))
    for y in range(140, 620, 40):
        words = "".join(random.choice(letters, random.integers(4, 22)))
        draw.text((50, y), words, font=ImageFont.load_default(18), fill=(0, 0, 0))
        draw.text((480, y), f"{random.integers(1, 999)}.00", font=ImageFont.load_default(18), fill=(0, 0, 0))
    return picture


def settings_page(dark: bool, accent: Colour) -> Image.Image:
    """A screenshot in one of two themes."""
    ground, ink, panel = ((24, 24, 26), (215, 215, 215), (44, 44, 48)) if dark else ((250,) * 3, (30,) * 3, (228,) * 3)
    picture = Image.new("RGB", (640, 400), ground)
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 0, 160, 400), fill=panel)
    draw.rectangle((0, 0, 640, 44), fill=accent)
    for row in range(7):
        draw.text((20, 70 + 44 * row), f"Section {row}", font=ImageFont.load_default(20), fill=ink)
        draw.rounded_rectangle((200, 66 + 44 * row, 600, 96 + 44 * row), 6, fill=panel)
    return picture


def jpeg(picture: Image.Image, quality: int = 92) -> bytes:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality)
    return out.getvalue()


def png(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def grey(picture: Image.Image) -> Image.Image:
    return picture.convert("L").convert("RGB")

"""From whatever a decoder yields to 8-bit sRGB without alpha: depth, profile, transparency, in this order."""

from __future__ import annotations

import hashlib
import io
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from curation.images.png import MAX_PROFILE

_SPACES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab ": "LAB"}
_WHITE = (255, 255, 255)
# Differences that no one sees on 8 bits: profiles that say sRGB with rounded or black-compensated curves.
_SAME = 3


@dataclass(frozen=True, slots=True)
class Conversion:
    """A profile as a way to sRGB, for images of ``mode``."""

    mode: str
    transform: Any


class Profiles:
    """Compiled profiles of a worker, the last ones used; safe to use from many threads."""

    def __init__(self, most: int = 32) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._known: OrderedDict[bytes, Conversion | None] = OrderedDict()

    def transform(self, profile: bytes | None, mode: str) -> Any:
        """What takes an image of this mode to sRGB; None where nothing is to do or the profile does not fit."""
        if not profile or len(profile) > MAX_PROFILE:
            return None
        conversion = self._conversion(profile)
        return conversion.transform if conversion is not None and conversion.mode == mode else None

    def _conversion(self, profile: bytes) -> Conversion | None:
        key = hashlib.sha256(profile).digest()
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        made = _compile(profile)
        with self._lock:
            self._known[key] = made
            while len(self._known) > self._most:
                self._known.popitem(last=False)
        return made


PROFILES = Profiles()


def to_srgb(image: Image.Image, profile: bytes | None, white: int = 255, inverted: bool = False) -> Image.Image:
    """A decoded image of any mode as mode RGB in sRGB, on white where it is transparent.

    ``white`` is the largest value of 16-bit samples, ``inverted`` whether it means black. A broken or unfit
    profile counts as sRGB. Whole numbers beyond 16 bits and floats have no agreed range: 0..1 is scaled by
    255, 0..255 taken as it is, 0..65535 scaled, anything else stretched from its least to its largest value.
    """
    image, alpha = _opaque(_eight_bits(image, white, inverted))
    transform = PROFILES.transform(profile, image.mode)
    if transform is not None:
        image = transform.apply(image)
    elif image.mode == "LAB":
        image = _from_lab(image)
    elif image.mode != "RGB":
        image = image.convert("RGB")
    if alpha is None:
        return image
    ground = Image.new("RGB", image.size, _WHITE)
    ground.paste(image, mask=alpha)
    return ground


def _eight_bits(image: Image.Image, white: int, inverted: bool) -> Image.Image:
    if image.mode.startswith("I;16"):
        values = np.asarray(image).astype(np.uint32)
        scaled = _to_bytes(values, white)
        grey = Image.fromarray(255 - scaled if inverted else scaled)
        key = image.info.get("transparency")
        if isinstance(key, int):
            grey.putalpha(Image.fromarray(np.where(values == key, 0, 255).astype(np.uint8)))
        return grey
    if image.mode in ("I", "F"):
        return Image.fromarray(_stretched(np.asarray(image)))
    key = image.info.get("transparency")
    if white > 255 and isinstance(key, tuple):
        # The decoder kept the high bytes of the colours but not of the one that is transparent.
        image.info["transparency"] = tuple(v >> 8 for v in key)
    return image


def _to_bytes(values: NDArray[np.uint32], white: int) -> NDArray[np.uint8]:
    return ((np.minimum(values, white) * 255 + white // 2) // white).astype(np.uint8)


def _stretched(values: NDArray[Any]) -> NDArray[np.uint8]:
    values = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if low >= 0 and high <= 1 and high > 0:
        values = values * 255
    elif low >= 0 and high <= 255:
        pass
    elif low >= 0 and high <= 65535:
        values = values / 257
    else:
        values = (values - low) * (255 / (high - low)) if high > low else values * 0
    return np.rint(values).astype(np.uint8)


def _opaque(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """The colours of an image and its alpha, where it has one."""
    mode = image.mode
    if mode == "RGBa":
        image = image.convert("RGBA")
    elif mode == "La":
        image = image.convert("LA")
    elif mode in ("P", "PA"):
        clear = (
            mode == "PA" or "transparency" in image.info or (image.palette is not None and image.palette.mode == "RGBA")
        )
        image = image.convert("RGBA" if clear else "RGB")
    elif mode in ("1", "L", "RGB") and "transparency" in image.info:
        image = image.convert("RGBA" if mode == "RGB" else "LA")
    elif mode == "1":
        image = image.convert("L")
    elif mode in ("RGBX", "YCbCr", "HSV"):
        image = image.convert("RGB")
    if image.mode in ("RGBA", "LA"):
        alpha = image.getchannel("A")
        colours = image.convert("RGB") if image.mode == "RGBA" else image.getchannel("L")
        return colours, None if alpha.getextrema() == (255, 255) else alpha
    return image, None


def _from_lab(image: Image.Image) -> Image.Image:
    transform = ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")
    return transform.apply(image)


def _compile(profile: bytes) -> Conversion | None:
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = _SPACES.get(str(source.profile.xcolor_space))
        if mode is None:
            return None
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
        return None if mode == "RGB" and _changes_nothing(transform) else Conversion(mode, transform)
    except Exception:
        # Whatever lcms dislikes about a profile, the image is shown as if it had none, as browsers do.
        return None


def _changes_nothing(transform: Any) -> bool:
    """Whether a profile is sRGB by its effect, under whatever name: a 9x9x9 cube of colours stays as it is."""
    steps = np.linspace(0, 255, 9).round().astype(np.uint8)
    cube = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(27, 27, 3)
    after = np.asarray(transform.apply(Image.fromarray(cube)))
    return int(np.abs(after.astype(np.int16) - cube).max()) <= _SAME

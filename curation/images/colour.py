"""Turns what a decoder yields into 8-bit sRGB without alpha: first depth, then profile, then transparency."""

from __future__ import annotations

import hashlib
import io
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from curation.images.facts import MAX_PROFILE, Header
from curation.images.png import without_key

_SPACES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab ": "LAB"}
_WHITE = (255, 255, 255)
# Differences that no one sees on 8 bits: profiles that say sRGB with rounded or black-compensated curves.
_SAME = 3


@dataclass(frozen=True, slots=True)
class Conversion:
    """A compiled way from a profile to sRGB, for images of ``mode``."""

    mode: str
    transform: Any


class Profiles:
    """The ``maximum`` compiled profiles that were used last; safe to use from many threads."""

    def __init__(self, maximum: int = 32) -> None:
        self._maximum = maximum
        self._lock = threading.Lock()
        self._known: OrderedDict[bytes, Conversion | None] = OrderedDict()

    def transform(self, profile: bytes | None, mode: str) -> Any:
        """The transform of an image of this mode to sRGB; None when nothing is to do or the profile does not fit."""
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
            while len(self._known) > self._maximum:
                self._known.popitem(last=False)
        return made


PROFILES = Profiles()


def to_srgb(image: Image.Image, header: Header) -> Image.Image:
    """A decoded image of any mode as mode RGB in sRGB, on white where it is transparent or not covered.

    A broken or unfit profile counts as sRGB. Whole numbers beyond 16 bits and floats have no agreed range: 0..1 is
    scaled by 255, 0..255 taken as it is, 0..65535 scaled, anything else stretched from its least to its largest value.
    """
    profile = header.profile or image.info.get("icc_profile")
    image, alpha = _opaque(_eight_bits(image, header), header)
    transform = PROFILES.transform(profile, image.mode)
    if transform is not None:
        image = transform.apply(image)
    elif image.mode == "LAB":
        image = _from_lab(image)
    elif image.mode != "RGB":
        image = image.convert("RGB")
    if alpha is None and header.frame is None:
        return image
    ground = Image.new("RGB", image.size, _WHITE)
    if header.frame is None:
        ground.paste(image, mask=alpha)
    else:
        ground.paste(image.crop(header.frame), header.frame[:2], alpha.crop(header.frame) if alpha else None)
    return ground


def _eight_bits(image: Image.Image, header: Header) -> Image.Image:
    """The image with samples of 8 bits, and with an alpha channel where a colour of the file's own depth is its key."""
    if image.mode.startswith("I;16"):
        values = np.asarray(image).astype(np.uint32)
        scaled = _to_bytes(values, header.white)
        grey = Image.fromarray(255 - scaled if header.inverted else scaled)
        if isinstance(header.key, int):
            grey.putalpha(Image.fromarray(np.where(values == header.key, 0, 255).astype(np.uint8)))
        return grey
    if image.mode in ("I", "F"):
        stretched = _stretched(np.asarray(image))
        return Image.fromarray(255 - stretched if header.inverted else stretched)
    if header.key is not None and image.mode in ("1", "L", "RGB"):
        image.info.pop("transparency", None)  # in the file's samples, which are no longer those of the image
        image = image.convert("L") if image.mode == "1" else image
        image.putalpha(Image.fromarray(_visible(np.asarray(image), header)))
    return image


def _visible(samples: NDArray[np.uint8], header: Header) -> NDArray[np.uint8]:
    """255 where samples of 8 bits are not the file's key, 0 where they are."""
    if header.depth > 8:
        # The decoder kept the high bytes; the key is a colour of 16 bits, and its neighbours stay visible.
        deep = cv2.imdecode(np.frombuffer(without_key(header), np.uint8), cv2.IMREAD_UNCHANGED | cv2.IMREAD_ANYDEPTH)
        if deep is None or deep.dtype != np.uint16 or deep.shape != samples.shape:
            raise ValueError("cannot read the 16-bit samples that a transparent colour needs")
        is_key = (deep[..., ::-1] == np.array(header.key)).all(axis=-1)
    else:
        is_key = samples == np.array(header.key) * (255 // header.white)
        is_key = is_key if is_key.ndim == 2 else is_key.all(axis=-1)
    return np.where(is_key, 0, 255).astype(np.uint8)


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


def _opaque(image: Image.Image, header: Header) -> tuple[Image.Image, Image.Image | None]:
    """The colours of an image, and its alpha unless that is opaque or means nothing."""
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
    elif mode in ("L", "RGB") and "transparency" in image.info:
        image = image.convert("RGBA" if mode == "RGB" else "LA")
    elif mode == "1":
        image = image.convert("L")
    elif mode in ("RGBX", "YCbCr", "HSV"):
        image = image.convert("RGB")
    if image.mode in ("RGBA", "LA"):
        alpha = image.getchannel("A")
        colours = image.convert("RGB") if image.mode == "RGBA" else image.getchannel("L")
        extremes = alpha.getextrema()
        meaningless = extremes == (255, 255) or (header.optional_alpha and extremes == (0, 0))
        return colours, None if meaningless else alpha
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

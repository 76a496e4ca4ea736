"""An image on its way into a request."""

from __future__ import annotations

import io

from PIL import Image


def fit(data: bytes, side: int) -> bytes:
    """The image with its longer side brought down to ``side`` pixels, as JPEG; untouched when it fits, or
    when it is no image (the model then says so). ``side`` 0 leaves every image as it is.
    """
    if side == 0:
        return data
    try:
        with Image.open(io.BytesIO(data)) as image:
            if max(image.size) <= side:
                return data
            scale = side / max(image.size)
            size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
            image.draft("RGB", size)  # a JPEG decodes at the smallest scale that still is large enough
            small = image.convert("RGB").resize(size, Image.Resampling.LANCZOS)
    except (OSError, ValueError, Image.DecompressionBombError):
        return data
    out = io.BytesIO()
    small.save(out, "JPEG", quality=95)
    return out.getvalue()

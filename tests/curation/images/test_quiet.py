"""Nothing of what C libraries write about damaged pictures reaches the terminal, and nothing else is lost."""

from __future__ import annotations

import subprocess
import sys

from tests.support.processes import REPOSITORY

_CODE = """
import io, os, random, sys
import numpy as np
from contextlib import nullcontext
from PIL import Image
from curation.images.pixels import PixelsRejected, prepare
from curation.images.quiet import quiet_decoders
from schemas.recipe import Download
from tests.support.images import natural

pixels = np.asarray(natural(300, 240, seed=1))
damaged = []
forms = (
    ("JPEG", {"restart_marker_blocks": 2}), ("JPEG", {"progressive": True}), ("TIFF", {"compression": "tiff_lzw"})
)
for form, options in forms:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, form, **options)
    for seed in range(40):
        data, chosen = bytearray(out.getvalue()), random.Random(seed)
        at = chosen.randrange(600, len(data))
        data[at : at + 8 * (form == "TIFF")] = bytes(chosen.randrange(256) for _ in range(8))
        damaged.append(bytes(data))

def decode():
    for data in damaged:
        try:
            prepare(data, Download(), lambda pixels: nullcontext())
        except PixelsRejected:
            pass

print("--- quiet", file=sys.stderr, flush=True)
with quiet_decoders(), quiet_decoders():
    decode()
    print("from python", file=sys.stderr, flush=True)
    os.write(2, b"from the descriptor\\n")
print("--- loud", file=sys.stderr, flush=True)
decode()
"""


def test_only_the_libraries_are_silenced_and_only_inside() -> None:
    done = subprocess.run([sys.executable, "-c", _CODE], capture_output=True, text=True, cwd=REPOSITORY, check=True)
    quiet, _, loud = done.stderr.partition("--- loud\n")
    assert quiet == "--- quiet\nfrom python\nfrom the descriptor\n"
    assert "Corrupt JPEG data" in loud and "code not yet in table" in loud, "the damage makes them speak"

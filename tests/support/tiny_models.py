"""The tiny untrained captioner, built once a process."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from curation.demo.tiny import make_tiny_checkpoint


@cache
def tiny_captioner() -> Path:
    """A folder with a checkpoint that transformers and vLLM load; removed at exit."""
    folder = Path(tempfile.mkdtemp(prefix="tiny-captioner-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    make_tiny_checkpoint(folder / "tiny")
    return folder / "tiny"

"""Which code of this project a process runs."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

_PROJECT = Path(__file__).resolve().parents[3]


@cache
def code_digest() -> str:
    """A hash of the sources of ``curation`` and ``schemas``: what a worker makes counts as the driver's answer."""
    digest = hashlib.sha256()
    for package in ("curation", "schemas"):
        for file in sorted((_PROJECT / package).rglob("*.py")):
            digest.update(f"{file.relative_to(_PROJECT)}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()

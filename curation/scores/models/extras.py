"""What the extras of this package bring, asked for before a run does any work."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path

from curation.core.errors import ModelError


def check_installed(
    scorer: str, extra: str, packages: Sequence[tuple[str, str]], wanted_by: str = "", instead: str = ""
) -> None:
    """Looks for the packages (name, name for import) that a scorer needs, without importing them.

    ``wanted_by`` and ``instead`` are what the error says of anything but a scorer. Raises ``ModelError`` naming the
    extra where one is not installed.
    """
    for package, module in packages:
        if importlib.util.find_spec(module) is None:
            raise ModelError(
                f"{wanted_by or f'the scorer {scorer!r}'} needs the package {package}, which is not installed; "
                f"pip install 'lapidary-curation[{extra}]', or "
                f"{instead or f'take {scorer!r} and its limits out of scores'}"
            )


def file_of(module: str, name: str) -> Path:
    """A file that lies in a package, which is not imported for it. Raises ``ModelError`` where it is not there."""
    spec = importlib.util.find_spec(module)
    folder = Path(spec.origin).parent if spec is not None and spec.origin is not None else Path()
    if not (folder / name).is_file():
        raise ModelError(
            f"the package {module} holds no {name}, as its usual versions do; install the one of this project's extra"
        )
    return folder / name


def identity(file: Path) -> str:
    """A file's name and the first 16 digits of its SHA-256: weights, whichever package brought them."""
    with file.open("rb") as opened:
        return f"{file.stem} {hashlib.file_digest(opened, 'sha256').hexdigest()[:16]}"

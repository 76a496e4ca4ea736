"""Where a release goes: ``hf://datasets/ORG/NAME``."""

from __future__ import annotations

import re

from curation.core.errors import UsageError

_ADDRESS = re.compile(r"hf://datasets/([A-Za-z0-9][A-Za-z0-9._-]{0,95})/([A-Za-z0-9][A-Za-z0-9._-]{0,95})/?")


def repository(address: str) -> str:
    """``ORG/NAME`` of a dataset's repository. Raises ``UsageError`` for an address that names none."""
    found = _ADDRESS.fullmatch(address)
    if not found or any(".." in part or "--" in part or part.endswith((".git", ".", "-")) for part in found.groups()):
        raise UsageError(
            f"--to is {address[:200]!r}; expected hf://datasets/ORG/NAME, with letters, digits, '-', '_', '.'"
        )
    return f"{found[1]}/{found[2]}"

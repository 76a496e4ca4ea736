"""How the user started this process, so that help and hints name commands in the same way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

_subcommands: Mapping[str, str] = {}


@contextmanager
def started_as(subcommands: Mapping[str, str]) -> Iterator[None]:
    """Within it modules are called by these commands: {"flows.dedupe": "lapidary dedupe"}."""
    global _subcommands
    before, _subcommands = _subcommands, subcommands
    try:
        yield
    finally:
        _subcommands = before


def command_of(module: str) -> str:
    """The command that runs a module: ``python -m MODULE``, or its subcommand if ``lapidary`` was started."""
    return _subcommands.get(module, f"python -m {module}")

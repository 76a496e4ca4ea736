"""How the user started this process, so that help and hints name commands in the same way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from shlex import quote

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


def command_with(module: str, *words: str) -> str:
    """``command_of`` with these words, as a shell takes it: a path with blanks is one word."""
    return " ".join([command_of(module), *map(quote, words)])

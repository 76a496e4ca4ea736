"""Warnings of a command, as plain lines on stderr: without the time stamps and module names of Prefect's log."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

from curation.core.errors import UsageError
from curation.core.printable import first_words
from flows.json_lines import tell

_OURS = ("curation", "flows", "schemas")
# What these say before any work are notes on the request, which can wait; others tell why the command waits.
_NOTES = ("curation.core.recipes", "curation.sources", "flows")
_HUB = "huggingface_hub"
_HUB_RETRIES = "huggingface_hub.utils._http"
_CHARACTERS = 1000


class PlainLines(logging.Handler):
    """Prints each message on one line, without characters that would steer the terminal.

    Notes on the request are held until ``let_go``, so that a refusal is one line.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._held: list[str] | None = []

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = first_words(record.getMessage(), _CHARACTERS)
            if self._held is not None and record.name.startswith(_NOTES):
                self._held.append(line)
            else:
                tell(line, "warning")
        except Exception:  # a log line may never end the work
            self.handleError(record)

    def let_go(self) -> None:
        """Prints the notes so far, and all later ones at once."""
        held, self._held = self._held or (), None
        for line in held:
            tell(line, "warning")

    def drop(self) -> None:
        """Forgets the notes so far."""
        self._held = None


class _FirstOnly(logging.Filter):
    """Of the hub's warnings about requests that it repeats, the first one: the error names the reason if all fail."""

    def __init__(self) -> None:
        super().__init__()
        self._said = False

    def filter(self, record: logging.LogRecord) -> bool:
        if self._said or record.levelno < logging.WARNING:
            return False
        self._said = True
        found = first_words(record.getMessage(), _CHARACTERS)
        record.msg, record.args = "the model hub does not answer, trying again: %s", (found,)
        return True


@contextlib.contextmanager
def plain_warnings() -> Iterator[PlainLines]:
    """Within it, warnings of this project and of the model hub's client are plain lines, each printed once.

    Notes on the request are printed when the block lets them go, or when it ends, but for a ``UsageError``.
    """
    plain, first = PlainLines(), _FirstOnly()
    ours, hub = [logging.getLogger(name) for name in _OURS], logging.getLogger(_HUB)
    before = [(logger, logger.handlers, logger.propagate) for logger in (*ours, hub)]
    retries = logging.getLogger(_HUB_RETRIES)
    retries.addFilter(first)
    for logger in ours:
        logger.handlers, logger.propagate = [plain], False
    hub.propagate = False  # it gets a handler of its own, which prints plain lines, when it is imported
    try:
        yield plain
    except UsageError:
        plain.drop()
        raise
    finally:
        plain.let_go()
        retries.removeFilter(first)
        for logger, handlers, propagate in before:
            logger.handlers, logger.propagate = handlers, propagate

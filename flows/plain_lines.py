"""Warnings of a command, as plain lines on stderr: without the time stamps and module names of Prefect's log."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator

from curation.core.printable import first_words

_OURS = ("curation", "flows", "schemas")
_HUB = "huggingface_hub"
_HUB_RETRIES = "huggingface_hub.utils._http"
_CHARACTERS = 1000


class _PlainLines(logging.Handler):
    """Prints each message on one line, without characters that would steer the terminal."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            # The stream of this moment: a progress bar puts its own in the place of sys.stderr.
            print(first_words(record.getMessage(), _CHARACTERS), file=sys.stderr, flush=True)
        except Exception:  # a log line may never end the work
            self.handleError(record)


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
def plain_warnings() -> Iterator[None]:
    """Within it, warnings of this project and of the model hub's client are plain lines, each printed once."""
    plain, first = _PlainLines(logging.WARNING), _FirstOnly()
    ours, hub = [logging.getLogger(name) for name in _OURS], logging.getLogger(_HUB)
    before = [(logger, logger.handlers, logger.propagate) for logger in (*ours, hub)]
    retries = logging.getLogger(_HUB_RETRIES)
    retries.addFilter(first)
    for logger in ours:
        logger.handlers, logger.propagate = [plain], False
    hub.propagate = False  # it gets a handler of its own, which prints plain lines, when it is imported
    try:
        yield
    finally:
        retries.removeFilter(first)
        for logger, handlers, propagate in before:
            logger.handlers, logger.propagate = handlers, propagate

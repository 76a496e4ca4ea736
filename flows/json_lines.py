"""What a command says on stderr: plain lines for people, or with ``--log json`` one JSON object a line.

Every object has ``time`` (ISO 8601, UTC), ``level`` (info, warning, error) and ``message``; others are added to it,
such as ``table`` and ``shard``. Only ASCII is printed, so that a text cannot steer a terminal or break a line.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
from collections.abc import Sequence
from typing import Any

FORMS = ("plain", "json")
_form = "plain"


def use(form: str) -> None:
    """Chooses the form for this process: one of ``FORMS``."""
    global _form
    _form = form


def as_json() -> bool:
    """Whether JSON was asked for."""
    return _form == "json"


def tell(message: str, level: str = "info", **fields: str | float | None) -> None:
    """Says something on stderr; ``fields`` are for programs only."""
    # The stream of this moment: a progress bar puts its own in the place of sys.stderr.
    if not as_json():
        print(message, file=sys.stderr, flush=True)
        return
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
    said: dict[str, str | float] = {"time": now, "level": level, "message": message.strip()}
    said |= {name: value for name, value in fields.items() if value is not None}
    print(json.dumps(said), file=sys.stderr, flush=True)


class LogForm(argparse.Action):
    """The option ``--log``: it holds for all that the process says from its parsing on."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        use(str(values))


def add_log_option(parser: argparse.ArgumentParser) -> None:
    """``--log json``. Parsing without it goes back to plain lines."""
    use("plain")
    parser.add_argument(
        "--log",
        action=LogForm,
        choices=FORMS,
        default=argparse.SUPPRESS,
        help="what is said on stderr (progress, warnings, errors): lines for people, or a JSON object a line [plain]",
    )

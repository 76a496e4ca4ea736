"""In the place of Prefect's temporary server, for tests of a command whose flow needs none."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Self


class NoApi:
    """A server that is ready at once."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def ready(self, meanwhile: Iterable[Callable[[], None]]) -> None:
        return

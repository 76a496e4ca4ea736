"""The end of a ``with`` statement for things that have a ``close``."""

from __future__ import annotations

from types import TracebackType
from typing import Self


class Closing:
    """Calls ``close`` at the end of a ``with`` statement."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Frees what is held."""
        raise NotImplementedError

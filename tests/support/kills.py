"""Ends a run in this process, as a kill would, before any one of the changes that it makes to a root."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from curation.core.store import Store


class Killed(BaseException):
    """Nothing that is meant for errors catches it."""


def killed_at(change: int, run: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> bool:
    """Runs until the change of this number (a file that is written, moved or removed); whether there was such a one."""
    number = itertools.count()

    def or_die(done: Callable[..., Any]) -> Callable[..., Any]:
        def changing(*found: Any) -> Any:
            if next(number) == change:
                raise Killed
            return done(*found)

        return changing

    with monkeypatch.context() as patch:
        patch.setattr(Store, "write", or_die(Store.write))
        patch.setattr(Store, "remove", or_die(Store.remove))
        patch.setattr(Store, "move", or_die(Store.move))
        try:
            run()
        except Killed:
            return True
    return False


def changes(run: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> int:
    """How many changes a run makes that goes to its end."""
    made = itertools.count()

    def counted(done: Callable[..., Any]) -> Callable[..., Any]:
        def changing(*found: Any) -> Any:
            next(made)
            return done(*found)

        return changing

    with monkeypatch.context() as patch:
        for name in ("write", "remove", "move"):
            patch.setattr(Store, name, counted(getattr(Store, name)))
        run()
    return next(made)


def every_kill(
    prepare: Callable[[], Callable[[], object]], monkeypatch: pytest.MonkeyPatch, step: int = 1
) -> Iterator[int]:
    """Kills what ``prepare`` makes ready anew each time, at every change or every ``step``-th; the last ends whole."""
    for change in itertools.count(step // 2, step):
        if not killed_at(change, prepare(), monkeypatch):
            return
        yield change

"""Count what the interpreter does, so that a law about speed depends neither on the machine nor on its load.

CPython looks for signals at every call, at every jump back in a loop, and after every 4,096 steps of a regular
expression. A signal whose handler raises the same signal again is therefore handled once at each of these points.
The handler is compiled code, so that it takes no such step itself. What compiled code does within one call is not
counted: a slice, a search for a plain text, the repetition of a single character class in a pattern.
"""

from __future__ import annotations

import _signal
import ctypes
import gc
import signal
from collections.abc import Callable
from functools import partial
from itertools import chain, repeat
from operator import floordiv, length_hint, ne
from types import SimpleNamespace

from tests.support.repetitions import repetitions

_SIGNAL = int(signal.SIGUSR2)


class TooManySteps(Exception):
    """The allowed steps are used up."""


def steps(work: Callable[[], object], most: int) -> int:
    """The steps of ``work``; raises ``TooManySteps`` as soon as they are more than ``most``."""
    numbers = iter(range(most))
    # The signal's number ``most`` times, then a division by zero, without a step of the interpreter.
    allowed = map(floordiv, repeat(_SIGNAL), chain(map(ne, numbers, repeat(-1)), [0]))
    again = ctypes.PyDLL(None)["raise"]
    counted = SimpleNamespace(from_param=partial(next, allowed))
    again.argtypes = (counted, ctypes.py_object)  # raise() reads the first; a handler gets a frame as well
    collects = gc.isenabled()
    gc.disable()  # its callbacks would run between the steps
    before = _signal.signal(_SIGNAL, again)
    try:
        _signal.raise_signal(_SIGNAL)
        work()
    except ctypes.ArgumentError as error:
        raise TooManySteps(f"more than {most} steps") from error
    finally:
        _signal.signal(_SIGNAL, _ignore)
        _ignore()  # a signal that still waits is handled here
        _signal.signal(_SIGNAL, before)
        if collects:
            gc.enable()
    return most - length_hint(numbers)


def all_linear(
    read: Callable[[str], object], length: int, per_character: int, *, seed: int = 0, most: int = 60
) -> None:
    """Fails where reading one of many repetitive texts takes more than ``per_character`` steps a character."""
    for text in repetitions(length, seed, most):
        try:
            steps(lambda text=text: read(text), per_character * length)  # type: ignore[misc]
        except TooManySteps as error:
            raise TooManySteps(f"{text[:40]!r} … {text[-20:]!r}, {len(text)} characters: {error}") from error


def _ignore(*_: object) -> None:
    pass

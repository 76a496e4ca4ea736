"""Compiles the kernels of this room, once a machine: later processes load what an earlier one compiled."""

from __future__ import annotations

from typing import Any

from numba import njit


def jit(function: Any) -> Any:
    """The compiled function; it does not hold Python's lock."""
    try:
        return njit(nogil=True, cache=True)(function)
    except RuntimeError:  # numba finds no folder that it may write to
        return njit(nogil=True)(function)

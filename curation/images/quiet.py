"""Keeps C libraries from writing about single pictures on the terminal: what is wrong with one is in its row."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_lock = threading.Lock()
_users = 0
_before: int | None = None


@contextmanager
def quiet_decoders() -> Iterator[None]:
    """Inside, libjpeg's and libtiff's messages go nowhere.

    They write to C's ``stderr``, a variable that is pointed elsewhere; Python's own stderr and all that writes to the
    descriptor stay as they are. Where the C library has no such variable, nothing changes.
    """
    global _users, _before
    with _lock:
        _users += 1
        if _users == 1:
            _before = _point_stderr_to(_nowhere())
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users and _before is not None:
                _point_stderr_to(_before)


_opened: list[int] = []  # one stream for the life of the process: a library may still be writing to it


def _nowhere() -> int | None:
    if not _opened:
        with suppress(OSError, AttributeError):
            fopen = ctypes.CDLL(None).fopen
            fopen.restype = ctypes.c_void_p
            fopen.argtypes = (ctypes.c_char_p, ctypes.c_char_p)
            if stream := fopen(b"/dev/null", b"w"):
                _opened.append(stream)
    return _opened[0] if _opened else None


def _point_stderr_to(stream: int | None) -> int | None:
    """Where C's ``stderr`` pointed before; None where it was left alone."""
    if stream is None:
        return None
    try:
        variable = ctypes.c_void_p.in_dll(ctypes.CDLL(None), "stderr")
    except (OSError, ValueError):
        return None
    before, variable.value = variable.value, stream
    return before


@contextmanager
def single_threaded_opencv() -> Iterator[None]:
    """Images are decoded side by side already; OpenCV's own threads would only get in each other's way."""
    import cv2

    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)

"""How the C library treats memory that is freed."""

from __future__ import annotations

import ctypes
from contextlib import suppress

# malloc.h of glibc.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KEPT = 256 << 20  # bytes at the end of a heap
_LARGEST = 32 << 20  # bytes; the most that glibc takes


def keep_freed_memory() -> None:
    """Lets this process use freed memory again, instead of giving it back to the system and asking for it anew.

    Pictures are some megabytes each and freed at once: the system would have to clear every page of every one, and
    to tell all threads, which takes longer than decoding. Does nothing where the C library is not glibc.
    """
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_MMAP_THRESHOLD, _LARGEST)
        libc.mallopt(_TRIM_THRESHOLD, _KEPT)

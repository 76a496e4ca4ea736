"""Compiles the loops of the search, and names the array types that they take.

They release the interpreter's lock and start no threads of their own, so that callers use ordinary
threads: numba's own layers either may not be forked or may not be entered twice, and Ray does both.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numba
import numpy as np
from numba.core import types
from numba.extending import intrinsic
from numpy.typing import NDArray

F = TypeVar("F", bound=Callable[..., Any])
Words = NDArray[np.uint64]
Index = NDArray[np.uint32]


def compiled(function: F) -> F:
    """Compiles on first use and keeps the machine code beside the module, or for this process only."""
    try:
        made: Any = numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # no writable cache folder
        made = numba.njit(nogil=True)(function)
    else:
        # numba looks only at the function's own file, but loops of other files are compiled into it.
        made._cache._cache_file._source_stamp = _sources()
    found: F = made
    return found


@cache
def _sources() -> str:
    """A hash of all files whose loops may be compiled into one another."""
    here = Path(__file__).resolve()
    files = [*here.parents[1].rglob("*.py"), here.parents[2] / "images" / "windows.py"]
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(files))).hexdigest()


@intrinsic  # type: ignore[untyped-decorator,unused-ignore]
def popcount(typing_context: Any, value: Any) -> Any:
    """The number of set bits of a uint64, by the processor's own instruction."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate

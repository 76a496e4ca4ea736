"""Compiles the loops of the search, and names the array types that they take.

They release the interpreter's lock and start no threads of their own, so that callers use ordinary
threads: numba's own layers either may not be forked or may not be entered twice, and Ray does both.
"""

from __future__ import annotations

from collections.abc import Callable
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
        made: F = numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # no writable cache folder
        made = numba.njit(nogil=True)(function)
    return made


@intrinsic  # type: ignore[untyped-decorator,unused-ignore]
def popcount(typing_context: Any, value: Any) -> Any:
    """The number of set bits of a uint64, by the processor's own instruction."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate

"""Exact near-duplicate search in Hamming space, and what is decided with it.

    from curation.dedupe import cross_pairs, near_pairs

Both are loaded on first use: workers that only hash pixels need no compiler.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from curation.dedupe.hamming import cross_pairs, near_pairs

__all__ = ["cross_pairs", "near_pairs"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from curation.dedupe import hamming

        return getattr(hamming, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

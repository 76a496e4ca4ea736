"""Exact near-duplicate search in Hamming space, and what is decided with it.

    from curation.dedupe import HashIndex, cross_pairs, near_pairs

All are loaded on first use: workers that only hash pixels need no compiler.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from curation.dedupe.search.hamming import cross_pairs, near_pairs
    from curation.dedupe.search.index import HashIndex

__all__ = ["HashIndex", "cross_pairs", "near_pairs"]


def __getattr__(name: str) -> Any:
    if name == "HashIndex":
        from curation.dedupe.search.index import HashIndex

        return HashIndex
    if name in __all__:
        from curation.dedupe.search import hamming

        return getattr(hamming, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Made vectors with some that are nearly the same."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from curation.embed.vectors import Vectors


def drawn(count: int, width: int, seed: int = 0, topics: int = 60) -> Vectors:
    """Vectors around topics, one in five a copy of another with noise: cosines of copies from 0.9 to 1."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(topics, width))
    rows = centres[rng.integers(topics, size=count)] + rng.normal(size=(count, width)) * 0.9
    copies = rng.choice(count, count // 5, replace=False)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    noise = rng.normal(size=(len(copies), width)) / np.sqrt(width)
    rows[copies] = rows[rng.integers(count, size=len(copies))] + noise * rng.uniform(0, 0.45, size=(len(copies), 1))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return Vectors(rows.astype(np.float16), pa.array([f"{n:032x}" for n in range(count)]), (("all", 0, count),))

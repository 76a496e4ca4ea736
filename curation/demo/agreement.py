"""Measures how well subject weights agree with the true ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from scipy.stats import spearmanr


def spearman(pairs: Iterable[tuple[Sequence[float], Sequence[float]]]) -> float:
    """Spearman's correlation of (true, given) weights, the mean over captions whose true weights differ.

    Equal weights for all subjects of a caption count as 0; without such a caption the result is NaN.
    """
    found = [
        float(spearmanr(truth, given).statistic) if len(set(given)) > 1 else 0.0
        for truth, given in pairs
        if len(set(truth)) > 1
    ]
    return float(np.mean(found)) if found else float("nan")

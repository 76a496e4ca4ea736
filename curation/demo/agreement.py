"""How far weights agree with the truth's, whoever gave them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from scipy.stats import spearmanr


def spearman(pairs: Iterable[tuple[Sequence[float], Sequence[float]]]) -> float:
    """Spearman's correlation of (true, given) weights, the mean over captions whose true weights differ.

    Who weighs all subjects of a caption alike agrees by 0 there; without such a caption the answer is NaN.
    """
    found = [
        float(spearmanr(truth, given).statistic) if len(set(given)) > 1 else 0.0
        for truth, given in pairs
        if len(set(truth)) > 1
    ]
    return float(np.mean(found)) if found else float("nan")

"""How well one figure of many networks ranks them as another does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def kendall_tau(first: Sequence[float], second: Sequence[float]) -> float:
    """Kendall's rank correlation of two figures, tau-b, which corrects for ties (Kendall, Biometrika 1945).

    Returns:
        1 where both rank alike, -1 where one is the other turned round, about 0 where they have nothing to do with
        each other; NaN where either figure is the same for all.

    Raises:
        ValueError: different lengths.
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} and {len(second)} values cannot be ranked together")
    above = np.triu_indices(len(first), k=1)
    one, other = (np.sign(np.subtract.outer(values, values))[above] for values in (first, second))
    pairs = np.sqrt(np.count_nonzero(one) * np.count_nonzero(other))
    return float((one * other).sum() / pairs) if pairs else float("nan")

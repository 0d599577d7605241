"""Precision-recall curves as a chart."""

from __future__ import annotations

from collections.abc import Mapping

from perception.evaluation.report.charts import STAGE_COLORS, Chart, Line, Tick, tick_values
from perception.evaluation.results import PrecisionRecall


def precision_recall(curves: Mapping[str, PrecisionRecall], width: float = 640.0, height: float = 400.0) -> Chart:
    """One line a class, up to the largest recall that it reaches."""
    x_ticks = tuple(Tick(width * value, f"{value:g}") for value in tick_values(1.0))
    y_ticks = tuple(Tick(height * (1 - value), f"{value:g}") for value in tick_values(1.0))
    colors = (STAGE_COLORS[index % len(STAGE_COLORS)] for index in range(len(curves)))
    lines = tuple(
        Line(_points(curve, width, height), color, name)
        for (name, curve), color in zip(curves.items(), colors, strict=True)
    )
    return Chart(width, height, (), x_ticks, y_ticks, lines=lines)


def _points(curve: PrecisionRecall, width: float, height: float) -> tuple[tuple[float, float], ...]:
    last = len(curve.precision) - 1
    return tuple(
        (width * level / last, height * (1 - precision))
        for level, (precision, score) in enumerate(zip(curve.precision, curve.score, strict=True))
        if score is not None
    )

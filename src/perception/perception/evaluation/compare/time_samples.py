"""Drops and durations of frames, and the figures of any number of copies of them."""

from __future__ import annotations

from array import array

import numpy as np
from numpy.typing import NDArray

from perception.evaluation.compare.resampling import Weights
from perception.evaluation.records import FrameRecord
from perception.evaluation.results import ModelResults

PERCENTILES = (50, 95, 99)


class FateSamples:
    """Which frames came out at all."""

    def __init__(self, model: ModelResults) -> None:
        """Start with no frames."""
        online = "end_to_end" in model.latency_ms and model.rate_hz is not None
        self._hz_a_result = (model.rate_hz or 0.0) / model.frames.out if online else None
        self._came_out = array("q")

    def add(self, record: FrameRecord) -> None:
        """Add a frame."""
        self._came_out.append(not record.dropped)

    def figures(self, weights: Weights) -> dict[str, float]:
        """Count drops; a run in real time has as many results a second as there are results."""
        out = int(weights @ np.array(self._came_out))
        drops = int(weights.sum()) - out
        rate = {} if self._hz_a_result is None else {"rate": out * self._hz_a_result}
        return {"drops": drops, "drop_share": drops / int(weights.sum()), **rate}


class LatencySamples:
    """How long each stage took."""

    def __init__(self) -> None:
        """Start with no frames."""
        self._frames = 0
        self._stages: dict[str, tuple[array[int], array[float]]] = {}

    def add(self, record: FrameRecord) -> None:
        """Add a frame; what became of one that was dropped says nothing."""
        for stage, duration_ms in record.stage_ms.items() if not record.dropped else ():
            rows, durations_ms = self._stages.setdefault(stage, (array("q"), array("d")))
            rows.append(self._frames)
            durations_ms.append(duration_ms)
        self._frames += 1

    def figures(self, weights: Weights) -> dict[str, float]:
        """Give percentiles of each stage, and the rate of a run that is as fast as its frames."""
        found: dict[str, float] = {}
        for stage in self._stages:
            drawn_ms = self._drawn_ms(stage, weights)
            values = np.percentile(drawn_ms, PERCENTILES) if len(drawn_ms) else np.full(len(PERCENTILES), np.nan)
            names = (f"latency.{stage}.p{percentile}" for percentile in PERCENTILES)
            found |= dict(zip(names, values.tolist(), strict=True))
        if "total" in self._stages and "end_to_end" not in self._stages:
            drawn_ms = self._drawn_ms("total", weights)
            found["rate"] = 1000 / float(drawn_ms.mean()) if drawn_ms.any() else np.nan
        return found

    def _drawn_ms(self, stage: str, weights: Weights) -> NDArray[np.float64]:
        rows, durations_ms = self._stages[stage]
        return np.repeat(np.array(durations_ms), weights[np.array(rows)])

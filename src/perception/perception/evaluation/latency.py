"""How long frames took: percentiles of each stage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from perception.evaluation.results import LatencySummary


def summarize(samples_ms: Sequence[float]) -> LatencySummary:
    """Percentiles of at least one duration in milliseconds, interpolated linearly between samples.

    With fewer than 100 samples p99 lies between the two largest: read it together with `count`.

    Raises:
        ValueError: no samples, or one that is not finite.
    """
    values = np.asarray(samples_ms, np.float64)
    if values.size == 0 or not np.isfinite(values).all():
        raise ValueError(f"expected finite durations, found {values.size} samples")
    p50, p95, p99 = np.percentile(values, (50, 95, 99))
    return LatencySummary(
        p50=float(p50), p95=float(p95), p99=float(p99), max=float(values.max()), count=int(values.size)
    )


def samples_by_stage(frames: Iterable[Mapping[str, float]]) -> dict[str, list[float]]:
    """Turn one mapping of stage to milliseconds a frame into one list of milliseconds a stage.

    Stages keep the order in which they first occur; a frame that lacks a stage adds nothing to it.
    """
    samples: dict[str, list[float]] = {}
    for stage_ms in frames:
        for stage, duration_ms in stage_ms.items():
            samples.setdefault(stage, []).append(duration_ms)
    return samples


def summarize_stages(frames: Iterable[Mapping[str, float]]) -> dict[str, LatencySummary]:
    """Percentiles of every stage that occurs in `frames`, in the order of the stages."""
    return {stage: summarize(samples) for stage, samples in samples_by_stage(frames).items()}

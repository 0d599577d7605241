"""How long frames took: percentiles of each stage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from perception.evaluation.results import LatencySummary

#: The whole way of a frame: online from stamp to publication, else from the cloud's bytes to the result.
WHOLE_WAY = ("end_to_end", "total")
#: Durations that span stages, rather than being one.
SPANS = (*WHOLE_WAY, "overhead", "replay_late")


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


def exclusive_stages(stage_ms: Mapping[str, float], total_ms: float) -> dict[str, float]:
    """Split a frame's total into stages that do not overlap, in the order in which they ran.

    The node reports `inference` and, within it, `network.<stage>`: the parts stand for the whole, what they leave of
    it is `network.other`, and what no stage accounts for is `other`. The result sums to `total_ms`, or to more where
    the stages themselves do.
    """
    network = sum(duration for stage, duration in stage_ms.items() if stage.startswith("network."))
    exclusive: dict[str, float] = {}
    for stage, duration_ms in stage_ms.items():
        if stage != "inference":
            exclusive[stage] = duration_ms
        elif duration_ms > network:
            exclusive["network.other"] = duration_ms - network
    rest_ms = total_ms - sum(exclusive.values())
    return {**exclusive, "other": rest_ms} if rest_ms > 0 else exclusive


def stacked_stages(stage_ms: Mapping[str, float]) -> dict[str, float]:
    """Split the `total` of a frame's durations into stages that do not overlap, as `exclusive_stages` does."""
    stages = {stage: duration_ms for stage, duration_ms in stage_ms.items() if stage not in SPANS}
    return exclusive_stages(stages, stage_ms.get("total", 0.0))


def main_duration_ms(stage_ms: Mapping[str, float]) -> float | None:
    """How long a frame took by the widest definition that was measured; None where none was."""
    return next((stage_ms[span] for span in WHOLE_WAY if span in stage_ms), None)


def with_totals(stage_ms: Mapping[str, float], inference_ms: float, total_ms: float) -> dict[str, float]:
    """Add `overhead` and `total` to a frame's stages.

    `overhead` is what ROS costs: from receipt to publication without the network (`inference`) and without the time
    in which the network was still busy with the cloud before (`wait`), which is no work but load.
    """
    overhead_ms = total_ms - inference_ms - stage_ms.get("wait", 0.0)
    return {**stage_ms, "overhead": max(0.0, overhead_ms), "total": total_ms}

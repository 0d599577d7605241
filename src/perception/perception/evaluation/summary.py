"""From the records of a run to its figures: each record is read once, and little is kept of it."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from perception.configuration import ConfigurationError
from perception.evaluation.criteria import DetectionCriteria
from perception.evaluation.detection_summary import DetectionSummary
from perception.evaluation.latency import summarize as percentiles
from perception.evaluation.models import EvaluatedModel
from perception.evaluation.records import FrameRecord
from perception.evaluation.results import FrameCounts, ModelResults, ResourceUsage
from perception.evaluation.segmentation_summary import SegmentationSummary

NANOSECONDS = 1e9


def summarize(
    records: Iterable[FrameRecord],
    models: Sequence[EvaluatedModel],
    resources: Mapping[str, ResourceUsage] | None = None,
    criteria: DetectionCriteria | None = None,
) -> tuple[ModelResults, ...]:
    """Make the figures of every network; the same records in the same order give the same digits.

    Args:
        records: read once, one at a time.
        models: in the order of the results; one without any record has figures of nothing.
        resources: what a network took, by its name.
        criteria: which objects count; they may differ from those of the run.

    Raises:
        ConfigurationError: a record is of another network, or labels were judged in different classes.
    """
    summaries = {model.name: _Summary(model, criteria or DetectionCriteria()) for model in models}
    for record in records:
        if record.model not in summaries:
            raise ConfigurationError(f"a frame of {record.model}, expected one of {', '.join(summaries)}")
        summaries[record.model].add(record)
    return tuple(summary.results((resources or {}).get(name)) for name, summary in summaries.items())


class _Summary:
    """One network."""

    def __init__(self, model: EvaluatedModel, criteria: DetectionCriteria) -> None:
        self._model, self._bundle = model, model.description
        self._task: SegmentationSummary | DetectionSummary = SegmentationSummary()
        if self._bundle.task == "detection":
            self._task = DetectionSummary(self._bundle.classes, criteria)
        self._dropped: Counter[str] = Counter()
        self._frames = 0
        self._stages_ms: dict[str, array[float]] = {}
        self._spans_ns: dict[str, tuple[int, int]] = {}

    def add(self, record: FrameRecord) -> None:
        self._frames += 1
        first, last = self._spans_ns.get(record.bag, (record.stamp_ns, record.stamp_ns))
        self._spans_ns[record.bag] = min(first, record.stamp_ns), max(last, record.stamp_ns)
        if record.dropped:
            self._dropped[record.dropped] += 1
            return
        for stage, duration_ms in record.stage_ms.items():
            self._stages_ms.setdefault(stage, array("d")).append(duration_ms)
        self._task.add(record)

    def results(self, resources: ResourceUsage | None) -> ModelResults:
        task = self._bundle.task
        return ModelResults.model_validate(
            {
                "name": self._model.name,
                "bundle": self._bundle.name,
                "bundle_sha256": self._bundle.weights_sha256,
                "task": task,
                "frames": FrameCounts.accounted(self._frames, self._out, dict(sorted(self._dropped.items()))),
                "latency_ms": {stage: percentiles(samples) for stage, samples in self._stages_ms.items()},
                "rate_hz": self._rate_hz(),
                task: self._task.results(),
                "resources": resources,
            }
        )

    @property
    def _out(self) -> int:
        return self._frames - self._dropped.total()

    def _rate_hz(self) -> float | None:
        """Online: results a second of the bags, whose last frames last as long as the mean one; else of one worker."""
        if "end_to_end" in self._stages_ms:
            span_ns = sum(last - first for first, last in self._spans_ns.values())
            intervals = self._frames - len(self._spans_ns)
            return self._out * intervals / self._frames / (span_ns / NANOSECONDS) if span_ns and intervals else None
        total_ms = self._stages_ms.get("total")
        return 1000 * len(total_ms) / sum(total_ms) if total_ms and sum(total_ms) else None

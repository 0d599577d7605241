"""What of the records of one network figures can be made again from, for any number of copies of each frame."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from functools import cached_property
from itertools import groupby
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from perception.evaluation.compare.resampling import Weights
from perception.evaluation.metrics.confusion import ConfusionMatrix
from perception.evaluation.records import FrameRecord
from perception.evaluation.results import ModelResults

PERCENTILES = (50, 95, 99)


class FrameKey(NamedTuple):
    """Which frame it is: the same in two runs on the same bags."""

    bag: str
    number: int
    stamp_ns: int


class Samples(Protocol):
    """Something that is kept of every frame."""

    def add(self, record: FrameRecord) -> None:
        """Add a frame."""

    def figures(self, weights: Weights) -> Mapping[str, float]:
        """Give figures by their names in `perception.evaluation.figures`, as of frames that occur so often.

        Args:
            weights: int64 [F], in the order in which frames were added.
        """


class ModelSamples:
    """All frames of one network."""

    def __init__(self, model: ModelResults) -> None:
        """Start with no frames; what is kept depends on what the network's results say."""
        self._parts: list[Samples] = [FateSamples(model), LatencySamples()]
        if model.segmentation is not None:
            self._parts.append(LabelSamples(model.segmentation.classes))
        self._keys: list[FrameKey] = []

    def add(self, record: FrameRecord) -> None:
        """Add a frame."""
        self._keys.append(FrameKey(record.bag, record.index, record.stamp_ns))
        for part in self._parts:
            part.add(record)

    @cached_property
    def keys(self) -> tuple[FrameKey, ...]:
        """All frames, bag after bag and in the order of the bag; not to be asked for before the last was added."""
        return tuple(sorted(self._keys))

    @property
    def bag_frames(self) -> tuple[int, ...]:
        """How many frames each bag has, in the order of `keys`."""
        return tuple(len(list(group)) for _, group in groupby(self.keys, lambda key: key.bag))

    def figures(self, weights: Weights) -> dict[str, float]:
        """Give figures as of frames that occur so often; NaN where there are none.

        Args:
            weights: int64 [F], in the order of `keys`.
        """
        as_added = weights[self._ranks]
        return {name: value for part in self._parts for name, value in part.figures(as_added).items()}

    @cached_property
    def _ranks(self) -> NDArray[np.intp]:
        order = sorted(range(len(self._keys)), key=self._keys.__getitem__)
        return np.argsort(np.array(order, np.intp))


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


class LabelSamples:
    """How points were labelled."""

    def __init__(self, classes: tuple[str, ...]) -> None:
        """Start with no frames."""
        self._classes = classes
        self._counts: list[NDArray[np.float64]] = []

    def add(self, record: FrameRecord) -> None:
        """Add a frame; one without truth or result counts nothing."""
        matrix = ConfusionMatrix(len(self._classes))
        confusion = record.labels.confusion if record.labels and not record.dropped else None
        for triples in (confusion or {}).values():
            matrix.add_triples(triples)
        self._counts.append(np.column_stack([matrix.counts, matrix.unlabelled]).astype(np.float64))

    def figures(self, weights: Weights) -> dict[str, float]:
        """Give accuracy and intersection over union."""
        matrix = ConfusionMatrix.of_counts((weights @ self._all_counts).reshape(len(self._classes), -1))
        by_class = {f"IoU.{name}": float(iou) for name, iou in zip(self._classes, matrix.iou(), strict=True)}
        return {"mIoU": matrix.mean_iou(), "accuracy": matrix.accuracy(), **by_class}

    @cached_property
    def _all_counts(self) -> NDArray[np.float64]:
        # Products of floating point numbers are many times faster, and exact up to 2**53 points.
        return np.stack(self._counts).reshape(len(self._counts), -1)


def read_samples(records: Iterable[FrameRecord], models: Iterable[ModelResults]) -> dict[str, ModelSamples]:
    """Keep what is needed of every record, by the network's name."""
    found = {model.name: ModelSamples(model) for model in models}
    for record in records:
        if record.model in found:
            found[record.model].add(record)
    return found

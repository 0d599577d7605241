"""What of the records of one network figures can be made again from, for any number of copies of each frame."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from itertools import groupby
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from perception.evaluation.compare.quality_samples import LabelSamples, ObjectSamples
from perception.evaluation.compare.resampling import Weights
from perception.evaluation.compare.time_samples import FateSamples, LatencySamples
from perception.evaluation.records import FrameRecord
from perception.evaluation.results import ModelResults


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
        if model.detection is not None:
            self._parts.append(ObjectSamples(model.detection))
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


def read_samples(records: Iterable[FrameRecord], models: Iterable[ModelResults]) -> dict[str, ModelSamples]:
    """Keep what is needed of every record, by the network's name."""
    found = {model.name: ModelSamples(model) for model in models}
    for record in records:
        if record.model in found:
            found[record.model].add(record)
    return found

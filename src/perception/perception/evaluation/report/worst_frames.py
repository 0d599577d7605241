"""The frames that a network did worst on, kept as they pass by."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np

from perception.evaluation.criteria import DetectionCriteria
from perception.evaluation.latency import main_duration_ms
from perception.evaluation.models import EvaluatedModel
from perception.evaluation.outcomes import FrameOutcome
from perception.evaluation.records import FrameRecord
from perception.types import LabelledCloud, PointCloud

LIMIT = 10
#: Frames of one bag nearer in time than this show the same moment.
MOMENT_NS = 2_000_000_000

#: What a frame is ranked by, the worst first: quality or slowness, then the order of bags and frames.
Rank: TypeAlias = tuple[float, str, int]
Moment: TypeAlias = tuple[str, int]


@dataclass(frozen=True)
class WorstFrame:
    """A frame worth showing.

    Attributes:
        outcome, record: what was found in it, and how good that is.
        since_start_s: time since the first frame of its bag.
    """

    outcome: FrameOutcome
    record: FrameRecord
    since_start_s: float


@dataclass
class _Ranking:
    """The worst frame of each moment, of the worst moments.

    Moments are fixed stretches of each bag's time, so that what is kept does not depend on the order of arrival: the
    worst frame of a moment only ever gets worse, and a moment once left out comes back only by a worse frame.
    """

    most: int
    frames: dict[Moment, tuple[Rank, FrameOutcome, FrameRecord]] = field(default_factory=dict)

    def add(self, value: float, outcome: FrameOutcome, record: FrameRecord) -> None:
        rank = (value, record.bag, record.index)
        moment = (record.bag, record.stamp_ns // MOMENT_NS)
        known = self.frames.get(moment)
        behind_all = len(self.frames) == self.most and rank > max(entry[0] for entry in self.frames.values())
        if (known is None and not behind_all) or (known is not None and rank < known[0]):
            self.frames[moment] = rank, _kept(outcome), record
        if len(self.frames) > self.most:
            del self.frames[max(self.frames, key=lambda moment: self.frames[moment][0])]

    def worst(self, limit: int) -> list[tuple[FrameOutcome, FrameRecord]]:
        """Leave out what is too near in time to a worse frame: two moments may touch."""
        shown: list[tuple[FrameOutcome, FrameRecord]] = []
        for _, outcome, record in sorted(self.frames.values(), key=lambda entry: entry[0]):
            if not any(_same_moment(record, other) for _, other in shown):
                shown.append((outcome, record))
        return shown[:limit]


def _kept(outcome: FrameOutcome) -> FrameOutcome:
    """A copy of what is drawn: what passes by may be views of large buffers that are used again."""
    drive_frame, result = outcome.frame, outcome.result
    cloud = PointCloud(np.array(drive_frame.frame.cloud.points[:, :4]))
    truth = None if drive_frame.class_ids is None else drive_frame.class_ids.copy()
    if isinstance(result, LabelledCloud):
        result = LabelledCloud(result.class_ids.copy(), np.empty(0, np.float32))
    frame = replace(drive_frame.frame, cloud=cloud)
    return replace(outcome, frame=replace(drive_frame, frame=frame, class_ids=truth, **_NOT_DRAWN), result=result)


#: What of a DriveFrame pictures do not show.
_NOT_DRAWN: dict[str, Any] = {"instance_ids": None, "images": ()}


def _same_moment(one: FrameRecord, other: FrameRecord) -> bool:
    return one.bag == other.bag and abs(one.stamp_ns - other.stamp_ns) < MOMENT_NS


class WorstFrames:
    """The worst frames of each network by quality, or the slowest of one whose quality is never known.

    Holds at most three times `limit` clouds a network, whatever passes by. A frame that is shown hides at most the
    two moments that touch its own, so that as many candidates always leave `limit` to show.
    """

    def __init__(
        self, models: Iterable[EvaluatedModel], limit: int = LIMIT, criteria: DetectionCriteria | None = None
    ) -> None:
        """Keep so many frames of each network; `criteria`: which boxes their pictures show."""
        self.criteria = criteria or DetectionCriteria()
        self.descriptions = {model.name: model.description for model in models}
        self._limit = limit
        self._worst = {name: _Ranking(3 * limit) for name in self.descriptions}
        self._slowest = {name: _Ranking(3 * limit) for name in self.descriptions}
        self._starts: dict[str, tuple[int, int]] = {}

    def add(self, outcome: FrameOutcome, record: FrameRecord) -> None:
        """Take a frame; in whichever order they come, the same are kept."""
        start = (record.index, record.stamp_ns)
        self._starts[record.bag] = min(self._starts.get(record.bag, start), start)
        if outcome.result is None or record.dropped:
            return
        duration_ms = main_duration_ms(record.stage_ms)
        if record.quality is not None:
            self._worst[record.model].add(record.quality, outcome, record)
            self._slowest[record.model].frames.clear()
        elif duration_ms is not None and not self._worst[record.model].frames:
            self._slowest[record.model].add(-duration_ms, outcome, record)

    def by_quality(self, model: str) -> bool:
        """Whether the frames of a network are the worst, rather than the slowest."""
        return bool(self._worst[model].frames)

    def frames(self, model: str) -> tuple[WorstFrame, ...]:
        """The frames of a network, the worst first."""
        ranking = self._worst[model] if self.by_quality(model) else self._slowest[model]
        return tuple(
            WorstFrame(outcome, record, (record.stamp_ns - self._starts[record.bag][1]) / 1e9)
            for outcome, record in ranking.worst(self._limit)
        )

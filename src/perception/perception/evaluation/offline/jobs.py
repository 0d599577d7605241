"""One frame as a job: what a worker is given, and what it gives back for every network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from perception.bundle.format import DetectionDescription
from perception.data.drive import DriveFrame
from perception.data.sweep_history import PastSweep, Sweep, SweepHistory
from perception.data.transforms import TransformError
from perception.evaluation.criteria import DetectionCriteria
from perception.evaluation.judging import Judge
from perception.evaluation.models import EvaluatedModel
from perception.evaluation.offline.network import MAX_SWEEP_AGE_S, NetworkSettings, OfflineNetwork
from perception.evaluation.outcomes import Result
from perception.evaluation.records import FrameRecord
from perception.types import PointCloud

#: Named to the history alone: a drive's poses are already in the frame that stands still.
FIXED_FRAME = "odom"


@dataclass(frozen=True)
class FrameJob:
    """A frame for all networks.

    Attributes:
        bag, index: as of FrameOutcome.
        moment: the frame.
        past: by how many sweeps a network takes, those before it that it sees.
    """

    bag: str
    index: int
    moment: DriveFrame
    past: Mapping[int, Sequence[PastSweep[DriveFrame]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """What one network said; the attributes are those of FrameOutcome, and `problem` says more about a drop."""

    result: Result | None
    dropped: str
    stage_ms: Mapping[str, float]
    record: FrameRecord
    problem: str = ""


class FrameEvaluator:
    """All networks of a run, with those who judge them."""

    def __init__(
        self,
        models: Sequence[EvaluatedModel],
        settings: NetworkSettings,
        label_set: str | None = None,
        criteria: DetectionCriteria | None = None,
    ) -> None:
        """Start the networks.

        Raises:
            ConfigurationError: one does not start, or there is no such label set.
        """
        self._networks = [OfflineNetwork(model, settings) for model in models]
        self._sweeps = [sweeps_of(model) for model in models]
        self._judges = [Judge.of_bundle(model.description, label_set, criteria) for model in models]

    def __call__(self, job: FrameJob, number: int) -> Answer:
        """Give a frame to the network of this number, and judge what it says."""
        past = job.past.get(self._sweeps[number], ())
        outcome, problem = self._networks[number].outcome(job.bag, job.index, job.moment, past)
        record = self._judges[number].judge(outcome)
        return Answer(outcome.result, outcome.dropped, outcome.stage_ms, record, problem)


def frame_jobs(
    bag: str,
    frames: Iterator[DriveFrame],
    models: Sequence[EvaluatedModel],
    max_sweep_age_s: float = MAX_SWEEP_AGE_S,
) -> Iterator[FrameJob]:
    """Turn the frames of a bag into jobs; only as many frames are held as the networks take sweeps."""
    histories = {count: SweepHistory[DriveFrame](_find_nothing) for count in map(sweeps_of, models) if count > 1}
    for index, moment in enumerate(frames):
        moment = replace(moment, images=())
        past = {count: _past_of(moment, count, one, max_sweep_age_s) for count, one in histories.items()}
        yield FrameJob(bag, index, moment, past)


def sweeps_of(model: EvaluatedModel) -> int:
    """How many sweeps a network takes."""
    return model.description.sweeps if isinstance(model.description, DetectionDescription) else 1


def _past_of(
    moment: DriveFrame, count: int, history: SweepHistory[DriveFrame], max_age_s: float
) -> tuple[PastSweep[DriveFrame], ...]:
    odom_from_base = moment.odom_from_base
    pose = None if odom_from_base is None else odom_from_base @ moment.base_from_lidar
    only_cloud = replace(moment, class_ids=None, instance_ids=None, objects=None)
    if moment.message is not None:
        only_cloud = replace(only_cloud, frame=replace(moment.frame, cloud=PointCloud(np.empty((0, 4), np.float32))))
    sweep = Sweep(only_cloud, moment.frame.stamp_ns, moment.frame.frame_id, pose)
    return history.look_back(sweep, count, max_age_s, FIXED_FRAME).past


def _find_nothing(fixed_frame: str, frame_id: str, stamp_ns: int, is_newest: bool) -> np.ndarray:
    raise TransformError("the bag does not say where the vehicle was")

"""A network that is given frames of a bag as a node is given messages, so that both say the same to the bit."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from perception.bundle.format import CommonDescription, DetectionDescription
from perception.data.bag_clouds import encode_cloud
from perception.data.boxes import chosen, sound
from perception.data.drive import DriveFrame
from perception.data.point_clouds import CloudSettings, DecodedCloud, decode_point_cloud
from perception.data.point_features import with_fields
from perception.data.point_layout import CloudError
from perception.data.sweep_history import PastSweep, merged_with
from perception.evaluation.models import EvaluatedModel
from perception.evaluation.outcomes import FrameOutcome, Result
from perception.runtime import Engine, StageTimer, start_engine
from perception.types import DetectedObjects, Frame, PointCloud

#: Past frames that a network of several sweeps sees; newest first.
Past: TypeAlias = Sequence[PastSweep[DriveFrame]]
#: As the detection node's parameter of this name is by default.
MAX_SWEEP_AGE_S = 0.5


class EngineStarter(Protocol):
    """Loads a bundle and shows that it works, or raises; usually `perception.runtime.start_engine`."""

    def __call__(self, bundle: Any, device: str = "cpu", threads: int | None = None) -> Engine:
        """Start the network of a bundle."""


@dataclass(frozen=True)
class NetworkSettings:
    """How networks are run.

    Attributes:
        device: cpu, cuda or cuda:N.
        clouds: task -> how clouds are read, as the parameters of its node say; the nodes' defaults for others.
        max_sweep_age_s: past clouds that are older are no sweeps.
        start: gives an engine that works.
    """

    device: str = "cpu"
    clouds: Mapping[str, CloudSettings] = field(default_factory=dict)
    max_sweep_age_s: float = MAX_SWEEP_AGE_S
    start: EngineStarter = start_engine


class OfflineNetwork:
    """One network, on one thread: results must not depend on how many processes work beside each other."""

    def __init__(self, model: EvaluatedModel, settings: NetworkSettings) -> None:
        """Start it.

        Raises:
            ConfigurationError: from the starter.
        """
        self._name = model.name
        self._clouds = settings.clouds.get(model.description.task, CloudSettings())
        self._is_warm = False
        self._engine = settings.start(model.folder, device=settings.device, threads=1)

    def outcome(self, bag: str, index: int, moment: DriveFrame, past: Past) -> tuple[FrameOutcome, str]:
        """Run it on a frame; also gives, for people, what went wrong where nothing came out.

        The first frame goes through twice, and only the second time is taken: memory of a frame's size is not there
        before, and some modules are not loaded, which would make the slowest frame of every worker.
        """
        if not self._is_warm:
            self._is_warm = True
            with suppress(Exception):  # the second time tells
                self._run(moment, past, StageTimer())
        dropped, problem, result, timer = "", "", None, StageTimer()
        started_s = time.perf_counter()
        try:
            result = self._run(moment, past, timer)
        except CloudError as error:
            dropped, problem = f"malformed.{error.reason}", str(error)
        except Exception as error:  # as in the node: whatever happens, the frame is counted
            dropped, problem = "processing_failed", f"{type(error).__name__}: {error}"
        total_ms = (time.perf_counter() - started_s) * 1e3
        stage_ms = {} if result is None else {**_with_network(timer.stage_ms, result.stage_ms), "total": total_ms}
        return FrameOutcome(bag, index, moment, self._name, result, dropped, stage_ms), problem

    def _run(self, moment: DriveFrame, past: Past, timer: StageTimer) -> Result:
        """Take one cloud all the way, as `perception.nodes.cloud_node` does."""
        message = message_of(moment)
        with timer.stage("decode"):
            decoded = decode_point_cloud(message, self._clouds)
        points = self._points(message, decoded, past, timer)
        frame = Frame(PointCloud(points), moment.frame.stamp_ns, moment.frame.frame_id)
        with timer.stage("inference"):
            result = self._engine.forward(frame)
        if isinstance(result, DetectedObjects):
            return replace(result, boxes=chosen(result.boxes, sound(result.boxes)))
        labels: Result = decoded.spread(result)
        return labels

    def _points(self, message: Any, decoded: DecodedCloud, past: Past, timer: StageTimer) -> NDArray[np.float32]:
        description: CommonDescription = self._engine.description
        if not isinstance(description, DetectionDescription):
            return decoded.cloud.points
        points = with_fields(message, decoded, description.further_fields)
        if description.sweeps == 1:
            return points
        with timer.stage("sweeps"):
            return merged_with(points, [sweep for one in past if (sweep := self._decoded(one, description))])

    def _decoded(
        self, sweep: PastSweep[DriveFrame], description: DetectionDescription
    ) -> PastSweep[NDArray[np.float32]] | None:
        """A past sweep as the network takes it; None where its cloud is of no use."""
        message = message_of(sweep.points)
        try:
            decoded = decode_point_cloud(message, self._clouds)
            points = with_fields(message, decoded, description.further_fields)
        except CloudError:
            return None
        return PastSweep(points, sweep.newest_from_sweep, sweep.lag_s)

    def close(self) -> None:
        """Free it."""
        self._engine.close()


def message_of(moment: DriveFrame) -> Any:
    """The PointCloud2 of a frame: as it was recorded, or where it never was one, as it would be."""
    if moment.message is not None:
        return moment.message
    return encode_cloud(moment.frame.cloud, moment.frame.stamp_ns, moment.frame.frame_id)


def _with_network(stage_ms: dict[str, float], network_ms: dict[str, float]) -> dict[str, float]:
    """Name the stages within `inference` as a node does."""
    return {**stage_ms, **{f"network.{name}": duration_ms for name, duration_ms in network_ms.items()}}

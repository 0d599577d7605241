"""What a recorder keeps of a node: results, drops, counts, and how it is."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sensor_msgs.msg import PointCloud2
from vision_msgs.msg import Detection3DArray

from perception.data.bag_messages import decode_objects
from perception.data.point_layout import layout_of, require
from perception.types import DetectedObjects, LabelledCloud


@dataclass(frozen=True)
class ResultKind:
    """Which of a node's results are kept.

    Attributes:
        topics: below the node's `~/output` -> type of their messages.
        read: what is kept of one message of each.
    """

    topics: Mapping[str, type]
    read: Callable[..., LabelledCloud | DetectedObjects]


def _labels(message: PointCloud2) -> LabelledCloud:
    layout = layout_of(message)
    require(message, layout, ("class_id", "probability"))
    # Copies: the message holds 20 bytes a point, of which five are wanted.
    class_ids, probabilities = np.array(layout.field("class_id"), np.uint8), np.array(layout.field("probability"))
    return LabelledCloud(class_ids, probabilities.astype(np.float32, copy=False))


def _objects(objects: Detection3DArray, velocities: PointCloud2) -> DetectedObjects:
    return DetectedObjects(decode_objects(objects, velocities))


#: Task of a node -> its results; labels are in the order of the input's points.
RESULTS = {
    "segmentation": ResultKind({"pointcloud/segmentation": PointCloud2}, _labels),
    "detection": ResultKind({"objects": Detection3DArray, "velocities": PointCloud2}, _objects),
}


@dataclass(frozen=True)
class RecordedFrame:
    """What became of one input cloud, as the node said.

    Attributes:
        stamp_ns: stamp of the input cloud.
        received_ns: when the recorder's middleware received the result, its last message, or the drop; nanoseconds
            since the epoch.
        result: LabelledCloud or DetectedObjects, as the node's task gives; None where it dropped the cloud.
        dropped: why the node dropped the cloud, empty where it did not.
        problem: what went wrong then; empty where that is how it should be.
        stage_ms: milliseconds of each stage as the node reported them.
        total_ms: from the node's receipt of the cloud to the end of publication, or to the drop.
        inference_ms: the network alone.
    """

    stamp_ns: int
    received_ns: int
    result: Any = None
    dropped: str = ""
    problem: str = ""
    stage_ms: Mapping[str, float] = field(default_factory=dict)
    total_ms: float = 0.0
    inference_ms: float = 0.0


class FrameParts:
    """Puts the messages of a frame together, which arrive one by one.

    They are matched by stamp. Where several frames have the same one, the nth message of a topic belongs to the nth.

    Args:
        names: of what a frame consists of.
        max_frames: so many incomplete frames are kept, the newest.
    """

    def __init__(self, names: Collection[str], max_frames: int) -> None:
        self._names = frozenset(names)
        self._max_frames = max_frames
        self._open: OrderedDict[int, list[dict[str, Any]]] = OrderedDict()

    def add(self, stamp_ns: int, name: str, part: Any) -> dict[str, Any] | None:
        """Add one part; gives all parts of its frame once there is none missing."""
        frames = self._open.setdefault(stamp_ns, [])
        parts = next((one for one in frames if name not in one), None)
        if parts is None:
            parts = {}
            frames.append(parts)
        parts[name] = part
        if parts.keys() < self._names:
            if len(self._open) > self._max_frames:
                self._open.popitem(last=False)
            return None
        frames.remove(parts)
        if not frames:
            del self._open[stamp_ns]
        return parts

    def take_incomplete(self) -> list[int]:
        """The stamps of frames that lack a part; they are forgotten."""
        stamps = [stamp_ns for stamp_ns, frames in self._open.items() for _ in frames]
        self._open.clear()
        return stamps


@dataclass(frozen=True)
class NodeCounts:
    """What a node says about its frames on /diagnostics, since it started.

    Attributes:
        received: clouds that reached the node.
        published: results that it published.
        dropped: reason -> clouds that gave no result.
        problem: the status line when something is wrong, else empty.
    """

    received: int = 0
    published: int = 0
    dropped: Mapping[str, int] | None = None
    problem: str = ""

    @property
    def is_settled(self) -> bool:
        """Whether no cloud is on its way through the node."""
        return self.received == self.published + sum((self.dropped or {}).values())


@dataclass(frozen=True)
class NodeState:
    """What a node says about its life cycle on /diagnostics.

    Attributes:
        is_active: whether it takes clouds.
        failure: why its last transition failed, else empty.
    """

    is_active: bool = False
    failure: str = ""


def counts_from(values: Mapping[str, str], problem: str) -> NodeCounts:
    """Read the counts off the values of a node's status; `problem` as of NodeCounts."""
    dropped = {key.removeprefix("dropped."): int(value) for key, value in values.items() if key.startswith("dropped.")}
    return NodeCounts(int(values["in"]), int(values["out"]), dropped, problem)

"""What a recorder keeps of a node: results, counts, and how it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sensor_msgs.msg import PointCloud2
from vision_msgs.msg import Detection3DArray

from perception.data.bag_messages import decode_objects
from perception.data.point_layout import layout_of, require


@dataclass(frozen=True)
class ResultKind:
    """Which of a node's results is kept.

    Attributes:
        message_type, topic: below the node's `~/output`.
        read: what is kept of a message.
    """

    message_type: type
    topic: str
    read: Callable[[Any], Any]


def _class_ids(message: PointCloud2) -> Any:
    layout = layout_of(message)
    require(message, layout, ("class_id",))
    # A copy: the message holds 17 bytes a point, of which one is wanted.
    return np.array(layout.field("class_id"), np.uint8)


#: Task of a node -> its result: uint8 [N], a class id for every point in the input's order; Boxes3D.
RESULTS = {
    "segmentation": ResultKind(PointCloud2, "pointcloud/segmentation", _class_ids),
    "detection": ResultKind(Detection3DArray, "objects", lambda message: decode_objects(message, None)),
}


@dataclass(frozen=True)
class RecordedFrame:
    """What came out for one input cloud; the result and its timings arrive as two messages.

    Attributes:
        stamp_ns: stamp of the input cloud, by which everything is matched.
        result: what the node's task gives, see RESULTS; None until it arrives.
        stage_ms: milliseconds of each stage as the node reported them, empty until the timings arrive.
        total_ms: from receipt to the end of publication.
        inference_ms: the network alone.
    """

    stamp_ns: int
    result: Any = None
    stage_ms: Mapping[str, float] | None = None
    total_ms: float = 0.0
    inference_ms: float = 0.0

    @property
    def is_complete(self) -> bool:
        """Whether both the result and its timings have arrived."""
        return self.result is not None and self.stage_ms is not None


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

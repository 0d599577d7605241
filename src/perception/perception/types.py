"""The values that travel through the house: small dataclasses over NumPy arrays.

Units are metres, seconds and radians unless a name says otherwise; frames follow REP-103 (x forward, y left, z up).
A transform named ``target_from_source`` maps coordinates in ``source`` to coordinates in ``target``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class PointCloud:
    """One LiDAR sweep.

    Attributes:
        points: float32 [N, 4]: x, y, z in metres in the sensor's frame, and intensity in 0..1; for a detector of
            several sweeps [N, 5], with the time lag of each point in seconds. May be a read-only strided view of a
            message's buffer.
        time_s: float32 [N] or None: when each point was measured, relative to the sweep's stamp.
        ring: uint16 [N] or None: the laser that measured each point, counted from the lowest.
    """

    points: NDArray[np.float32]
    time_s: NDArray[np.float32] | None = None
    ring: NDArray[np.uint16] | None = None

    def __len__(self) -> int:
        return len(self.points)


@dataclass(frozen=True)
class Frame:
    """What a network is given: a sweep with its stamp and frame of reference.

    Attributes:
        cloud: the sweep.
        stamp_ns: nanoseconds since the epoch of the clock that stamped the message.
        frame_id: the tf frame in which the cloud's coordinates are.
    """

    cloud: PointCloud
    stamp_ns: int = 0
    frame_id: str = ""


@dataclass(frozen=True)
class LabelledCloud:
    """A class for every point, in the order of the input cloud.

    Attributes:
        class_ids: uint8 [N], index into the network's class names.
        probabilities: float32 [N], softmax probability of that class, 0..1.
        stage_ms: wall time of each stage of the network, in the order they ran.
    """

    class_ids: NDArray[np.uint8]
    probabilities: NDArray[np.float32]
    stage_ms: dict[str, float] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.class_ids)


@dataclass(frozen=True)
class Boxes3D:
    """Oriented boxes of objects.

    Attributes:
        centers: float32 [M, 3], geometric centres in metres.
        sizes: float32 [M, 3], length (x), width (y), height (z) in metres.
        yaws: float32 [M], counter-clockwise about +z from +x, radians.
        class_names: one name a box.
        scores: float32 [M], 0..1 (1 for ground truth).
        velocities: float32 [M, 2] in m/s in the same frame, NaN where unknown.
        ids: identifiers that stay the same over time, empty strings where unknown.
    """

    centers: NDArray[np.float32]
    sizes: NDArray[np.float32]
    yaws: NDArray[np.float32]
    class_names: tuple[str, ...]
    scores: NDArray[np.float32]
    velocities: NDArray[np.float32]
    ids: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.centers)


@dataclass(frozen=True)
class DetectedObjects:
    """The objects that a network finds in a frame.

    Attributes:
        boxes: in the cloud's frame, class by class, best first.
        stage_ms: wall time of each stage of the network, in the order they ran.
    """

    boxes: Boxes3D
    stage_ms: dict[str, float] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.boxes)

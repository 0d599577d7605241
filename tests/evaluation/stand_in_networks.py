"""Drives and networks for tests of evaluations; whatever a worker process needs can be imported there."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from perception.configuration import ConfigurationError
from perception.data.bag_clouds import encode_cloud
from perception.data.drive import DriveFrame
from perception.evaluation.models import EvaluatedModel
from perception.evaluation.offline.network import NetworkSettings
from perception.types import Boxes3D, Frame, PointCloud
from tests.runtime.fake_detector import LAMP, FakeDetector
from tests.runtime.fake_engine import FakeEngine

#: A cloud whose first intensity is this does what the network's name says.
POISON = 0.75


def frame(index: int, points: int = 40, poison: bool = False) -> DriveFrame:
    """A small sweep with its truth; the vehicle drives 1 m a frame."""
    rng = np.random.default_rng(index)
    values = rng.normal(0, 10, (points, 4)).astype(np.float32)
    values[-6:, :3] = LAMP + rng.uniform(-0.2, 0.2, (6, 3))  # so that the object there counts
    values[:, 3] = POISON if poison else 0.5
    cloud, stamp_ns = PointCloud(values), 1_000_000_000 + index * 100_000_000
    odom_from_base = np.eye(4)
    odom_from_base[0, 3] = index
    class_ids = rng.integers(0, 3, points).astype(np.uint8)
    return DriveFrame(
        frame=Frame(cloud, stamp_ns, "lidar"),
        base_from_lidar=np.eye(4),
        class_ids=class_ids,
        objects=Boxes3D(
            np.array([LAMP], np.float32),
            np.ones((1, 3), np.float32),
            np.zeros(1, np.float32),
            ("car",),
            np.ones(1, np.float32),
            np.zeros((1, 2), np.float32),
        ),
        odom_from_base=odom_from_base,
        message=encode_cloud(cloud, stamp_ns, "lidar"),
    )


@dataclass
class StandInDrive:
    """Frames that are made as they are asked for; counts how many were."""

    name: str = "drive"
    expected_frames: int = 6
    poisoned: tuple[int, ...] = ()
    points: int = 40
    losses: list[str] = field(default_factory=list)
    read: int = 0

    @property
    def duration_s(self) -> float:
        return self.expected_frames / 10

    def frames(self) -> Iterator[DriveFrame]:
        for index in range(self.expected_frames):
            self.read += 1
            yield frame(index, self.points, index in self.poisoned)


class PoisonedEngine(FakeEngine):
    """Does what its name says when it meets a poisoned cloud."""

    def forward(self, frame: Frame):
        if len(frame.cloud) and frame.cloud.points[0, 3] == POISON:
            if self.description.name == "dies":
                os.kill(os.getpid(), signal.SIGKILL)
            if self.description.name == "raises":
                raise ValueError("a poisoned cloud")
        if self.description.name == "slow":
            time.sleep(0.2)
        return super().forward(frame)


def start(bundle: str | Path, device: str = "cpu", threads: int | None = None):
    """As `start_engine`: the network of this name."""
    name = Path(bundle).name
    assert threads == 1
    if name == "missing":
        raise ConfigurationError("missing: there are no weights")
    if name == "ends":
        os.kill(os.getpid(), signal.SIGKILL)
    if name.startswith("boxes"):
        return FakeDetector(name, ("pedestrian", "car"), sweeps=3 if name == "boxes3" else 1)
    return PoisonedEngine(name, ("road", "car"))


def description(name: str):
    """Of such a network, wherever it starts or not."""
    return (
        start(name, threads=1) if name not in ("missing", "ends") else FakeEngine(name, ("road", "car"))
    ).description


def models(*names: str) -> tuple[EvaluatedModel, ...]:
    """Networks by name."""
    return tuple(EvaluatedModel(name, Path(name), description(name)) for name in names)


SETTINGS = NetworkSettings(start=start)

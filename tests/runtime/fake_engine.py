"""A stand-in network for tests: labels by height, and behaves as its attributes say."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

import numpy as np

from perception.bundle.format import BundleDescription, SpvcnnSettings
from perception.types import Frame, LabelledCloud

PROBABILITY = 0.75


def nothing() -> None:
    """Do nothing."""


class FakeEngine:
    """Class 1 above the sensor, 0 below, all with PROBABILITY.

    Args:
        name: of its description.
        classes: names of its two classes.
        on_warm_up, on_forward: called at the beginning of each.
        wrong: how many of the first labels of every cloud are wrong.
        probability: what every label has.
        files: of its description.
    """

    def __init__(
        self,
        name: str = "fake",
        classes: tuple[str, str] = ("low", "high"),
        on_warm_up: Callable[[], None] = nothing,
        on_forward: Callable[[], None] = nothing,
        wrong: int = 0,
        probability: float = PROBABILITY,
        files: Mapping[str, str] | None = None,
    ) -> None:
        self.description = BundleDescription(
            format=1,
            name=name,
            task="segmentation",
            engine="fake",
            network=SpvcnnSettings(width=0.5),
            classes=classes,
            colors=((255, 0, 0), (0, 0, 255)),
            voxel_size_m=0.1,
            license="none",
            origin="tests",
            weights_sha256="0" * 64,
            files=dict(files or {}),
        )
        self.calls: list[str] = []
        self.is_closed = False
        self._on_warm_up, self._on_forward = on_warm_up, on_forward
        self._wrong, self._probability = wrong, probability
        self._running = threading.Lock()

    def warm_up(self) -> None:
        self.calls.append("warm_up")
        self._on_warm_up()

    def forward(self, frame: Frame) -> LabelledCloud:
        assert self._running.acquire(blocking=False), "called from two threads at a time"
        try:
            assert not self.is_closed, "called after close"
            self.calls.append("forward")
            self._on_forward()
            assert np.isfinite(frame.cloud.points).all()
            class_ids = (frame.cloud.points[:, 2] > 0).astype(np.uint8)
            class_ids[: self._wrong] ^= 1
            return LabelledCloud(class_ids, np.full(len(class_ids), self._probability, np.float32), {"look": 0.1})
        finally:
            self._running.release()

    def close(self) -> None:
        assert not self._running.locked(), "closed in the midst of a frame"
        self.calls.append("close")
        self.is_closed = True

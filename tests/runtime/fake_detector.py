"""A stand-in detector for tests: boxes that tell what it was given."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from perception.bundle.detection import CenterDecoding, FlatFormerSettings, SuppressionSettings
from perception.bundle.format import DetectionDescription
from perception.types import Boxes3D, DetectedObjects, Frame

#: Of the boxes around the points, and of the one that stands at LAMP whenever there is any point.
SCORE, LAMP_SCORE = 0.9, 0.4
LAMP = (30.0, 0.0, 1.0)


class FakeDetector:
    """A box of the first class in the middle of every sweep's points, and one of the second class at LAMP.

    The box's length is the number of the sweep's points, its width the sweep's lag (1 s and more: 1 + lag), its height
    the mean of the last feature but the lag; its yaw is 0.5. With `unsound`, there are three more that no object has.
    """

    def __init__(
        self,
        name: str = "fake",
        classes: tuple[str, ...] = ("car", "lamp"),
        sweeps: int = 1,
        required_fields: tuple[str, ...] = ("intensity",),
        on_forward: Callable[[], None] = lambda: None,
        unsound: bool = False,
    ) -> None:
        channels = 3 + len(required_fields) + (sweeps > 1)
        self.description = DetectionDescription(
            format=1,
            name=name,
            task="detection",
            engine="fake",
            network=FlatFormerSettings(point_channels=channels),
            decoding=CenterDecoding(suppression=(SuppressionSettings(iou=0.2),) * len(classes)),
            sweeps=sweeps,
            classes=classes,
            colors=((255, 0, 0), (0, 0, 255), (0, 255, 0))[: len(classes)],
            required_fields=required_fields,
            license="none",
            origin="tests",
            weights_sha256="0" * 64,
        )
        self._on_forward, self._unsound = on_forward, unsound

    def warm_up(self) -> None:
        """Nothing has to be warm."""

    def close(self) -> None:
        """Nothing is held."""

    def forward(self, frame: Frame) -> DetectedObjects:
        points, network = frame.cloud.points, self.description.network
        assert points.dtype == np.float32
        assert points.shape[1] == network.point_channels
        assert np.isfinite(points).all()
        self._on_forward()
        several = self.description.sweeps > 1
        lags = points[:, -1] if several else np.zeros(len(points))
        rows = [_box(points[lags == lag], float(lag), -2 if several else -1) for lag in sorted(set(lags.tolist()))]
        names = [self.description.classes[0]] * len(rows)
        if rows:
            rows.append((*LAMP, 1.0, 1.0, 1.0, -3.0, LAMP_SCORE))
            names.append(self.description.classes[1])
        if self._unsound:
            rows += [(0, 0, 0, 1, -1, 1, 0, 0.9), (np.nan, 0, 0, 1, 1, 1, 0, 0.9), (0, 0, 0, 1, 1, 1, 0, 1.5)]
            names += [self.description.classes[0]] * 3
        values = np.array(rows, np.float32).reshape(-1, 8)
        unknown = np.full((len(values), 2), np.nan, np.float32)
        boxes = Boxes3D(values[:, :3], values[:, 3:6], values[:, 6], tuple(names), values[:, 7], unknown)
        return DetectedObjects(boxes, {"look": 0.1})


def _box(points: np.ndarray, lag_s: float, feature: int) -> tuple[float, ...]:
    middle = points[:, :3].mean(axis=0, dtype=np.float64).tolist()
    return (*middle, len(points), 1 + lag_s, float(points[:, feature].mean()) or 1.0, 0.5, SCORE)

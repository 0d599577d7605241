"""nuScenes' own evaluation of detections, to compare with."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from perception.types import Boxes3D

#: What the devkit's package imports for pictures and other tasks; none of it is called here.
UNUSED = ("cv2", "sklearn", "sklearn.metrics")
#: What nuScenes calls our errors, in their order.
KINDS = ("trans_err", "scale_err", "orient_err", "vel_err")
MEANINGLESS = {"traffic_cone": ("attr_err", "vel_err", "orient_err"), "barrier": ("attr_err", "vel_err")}


@functools.cache
def devkit() -> SimpleNamespace:
    """The devkit's functions."""
    with _stand_ins():
        from nuscenes.eval.common.config import config_factory
        from nuscenes.eval.common.data_classes import EvalBoxes
        from nuscenes.eval.common.utils import center_distance
        from nuscenes.eval.detection import algo
        from nuscenes.eval.detection.data_classes import DetectionBox, DetectionMetrics
    return SimpleNamespace(
        config=config_factory("detection_cvpr_2019"),
        algo=algo,
        center_distance=center_distance,
        Boxes=EvalBoxes,
        Box=DetectionBox,
        Metrics=DetectionMetrics,
    )


@contextmanager
def _stand_ins() -> Iterator[None]:
    """Let `UNUSED` be imported; nothing else of what is imported meanwhile may be imported a second time."""
    absent = {name: ModuleType(name) for name in UNUSED if name not in sys.modules}
    sys.modules.update(absent)
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


def their_boxes(frames: Sequence[Boxes3D]) -> Any:
    """Boxes of frames as the devkit has them."""
    boxes = devkit().Boxes()
    for number, of_frame in enumerate(frames):
        boxes.add_boxes(str(number), _of_frame(of_frame, str(number)))
    return boxes


def their_metrics(truth: Any, found: Any) -> Any:
    """The devkit's figures, put together as its own command does."""
    kit = devkit()
    config, metrics = kit.config, kit.Metrics(kit.config)
    for name in config.class_names:
        for distance in config.dist_ths:
            data = kit.algo.accumulate(truth, found, name, kit.center_distance, distance)
            precision = kit.algo.calc_ap(data, config.min_recall, config.min_precision)
            metrics.add_label_ap(name, distance, precision)
        data = kit.algo.accumulate(truth, found, name, kit.center_distance, config.dist_th_tp)
        for kind in (*KINDS, "attr_err"):
            left_out = kind in MEANINGLESS.get(name, ())
            metrics.add_label_tp(name, kind, np.nan if left_out else kit.algo.calc_tp(data, config.min_recall, kind))
    return metrics


def _of_frame(boxes: Boxes3D, frame: str) -> list[Any]:
    return [
        devkit().Box(
            sample_token=frame,
            translation=tuple(map(float, center)),
            size=tuple(map(float, size)),
            rotation=(float(np.cos(yaw / 2)), 0.0, 0.0, float(np.sin(yaw / 2))),
            velocity=tuple(map(float, velocity)),
            detection_name=name,
            detection_score=float(score),
            attribute_name="",
        )
        for center, size, yaw, velocity, name, score in zip(
            boxes.centers, boxes.sizes, boxes.yaws, boxes.velocities, boxes.class_names, boxes.scores, strict=True
        )
    ]

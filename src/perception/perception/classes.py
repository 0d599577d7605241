"""The class lists of the field, their colours, and the raw identifiers behind them.

Sources: the SemanticKITTI benchmark's class list and colour table; the nuScenes detection task's ten classes; the
nuScenes-lidarseg challenge's 16 classes, colours and merging of the data set's 32 categories
(nutonomy/nuscenes-devkit, python-sdk/nuscenes/eval/lidarseg).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: The 19 classes of the SemanticKITTI benchmark, 0-based.
SEMANTIC_KITTI_CLASSES: tuple[str, ...] = (
    "car",
    "bicycle",
    "motorcycle",
    "truck",
    "other-vehicle",
    "person",
    "bicyclist",
    "motorcyclist",
    "road",
    "parking",
    "sidewalk",
    "other-ground",
    "building",
    "fence",
    "vegetation",
    "trunk",
    "terrain",
    "pole",
    "traffic-sign",
)

#: The class id of a point that belongs to none of the classes; it takes no part in training or evaluation.
IGNORED: int = 255

#: RGB of each SemanticKITTI class as the benchmark's own tools draw it.
SEMANTIC_KITTI_COLORS: NDArray[np.uint8] = np.array(
    [
        (100, 150, 245),
        (100, 230, 245),
        (30, 60, 150),
        (80, 30, 180),
        (100, 80, 250),
        (255, 30, 30),
        (255, 40, 200),
        (150, 30, 90),
        (255, 0, 255),
        (255, 150, 255),
        (75, 0, 75),
        (175, 0, 75),
        (255, 200, 0),
        (255, 120, 50),
        (0, 175, 0),
        (135, 60, 0),
        (150, 240, 80),
        (255, 240, 150),
        (255, 0, 0),
    ],
    dtype=np.uint8,
)

#: SemanticKITTI raw label id -> class; every other id is IGNORED.
SEMANTIC_KITTI_RAW_IDS: dict[int, int] = {
    **dict.fromkeys((10, 252), 0),
    11: 1,
    15: 2,
    **dict.fromkeys((18, 258), 3),
    **dict.fromkeys((20, 259, 13, 16, 256, 257), 4),
    **dict.fromkeys((30, 254), 5),
    **dict.fromkeys((31, 253), 6),
    **dict.fromkeys((32, 255), 7),
    **dict.fromkeys((40, 60), 8),
    44: 9,
    48: 10,
    49: 11,
    50: 12,
    51: 13,
    70: 14,
    71: 15,
    72: 16,
    80: 17,
    81: 18,
}

#: The 16 classes of the nuScenes-lidarseg challenge, 0-based (the challenge counts from 1, with 0 for ignored).
NUSCENES_LIDARSEG_CLASSES: tuple[str, ...] = (
    "barrier",
    "bicycle",
    "bus",
    "car",
    "construction_vehicle",
    "motorcycle",
    "pedestrian",
    "traffic_cone",
    "trailer",
    "truck",
    "driveable_surface",
    "other_flat",
    "sidewalk",
    "terrain",
    "manmade",
    "vegetation",
)

#: RGB of each nuScenes-lidarseg class as the challenge's own tools draw it.
NUSCENES_LIDARSEG_COLORS: NDArray[np.uint8] = np.array(
    [
        (112, 128, 144),
        (220, 20, 60),
        (255, 127, 80),
        (255, 158, 0),
        (233, 150, 70),
        (255, 61, 99),
        (0, 0, 230),
        (47, 79, 79),
        (255, 140, 0),
        (255, 99, 71),
        (0, 207, 191),
        (175, 0, 75),
        (75, 0, 75),
        (112, 180, 60),
        (222, 184, 135),
        (0, 175, 0),
    ],
    dtype=np.uint8,
)

#: Category index of nuScenes-lidarseg (0 to 31) -> class; every other one is IGNORED: noise, animals, wheelchairs,
#: strollers, scooters, debris, things pushed or pulled, bicycle racks, police cars, ambulances, other static things,
#: and the vehicle itself.
NUSCENES_LIDARSEG_RAW_IDS: dict[int, int] = {
    9: 0,
    14: 1,
    **dict.fromkeys((15, 16), 2),
    17: 3,
    18: 4,
    21: 5,
    **dict.fromkeys((2, 3, 4, 6), 6),
    12: 7,
    22: 8,
    23: 9,
    24: 10,
    25: 11,
    26: 12,
    27: 13,
    28: 14,
    30: 15,
}

#: The ten classes of the nuScenes detection task.
NUSCENES_CLASSES: tuple[str, ...] = (
    "car",
    "truck",
    "construction_vehicle",
    "bus",
    "trailer",
    "barrier",
    "motorcycle",
    "bicycle",
    "pedestrian",
    "traffic_cone",
)


@dataclass(frozen=True)
class ClassSet:
    """A data set's classes of points.

    Attributes:
        name: the data set.
        names: of the classes, in the order of their ids.
        colors: RGB, uint8 [C, 3].
        raw_ids: the data set's own label id -> class id; every other id is IGNORED.
        ground: classes on which objects stand.
        rare: classes of objects so rare in the streets that training pastes more of them into its clouds.
    """

    name: str
    names: tuple[str, ...]
    colors: NDArray[np.uint8] = field(repr=False, compare=False)
    raw_ids: Mapping[int, int] = field(repr=False, compare=False)
    ground: tuple[str, ...]
    rare: tuple[str, ...]

    def __len__(self) -> int:
        """Count the classes."""
        return len(self.names)

    def ids(self, names: tuple[str, ...]) -> NDArray[np.uint8]:
        """Give the class ids of names, uint8 [K].

        Raises:
            ValueError: there is no class of such a name.
        """
        if unknown := set(names) - set(self.names):
            raise ValueError(f"{self.name} has no class {', '.join(sorted(unknown))}")
        return np.array([self.names.index(name) for name in names], np.uint8)

    def of_raw(self, raw_ids: NDArray[Any]) -> NDArray[np.uint8]:
        """Map the data set's own label ids, unsigned [N] of at most 16 bits each, to class ids, uint8 [N]."""
        table = np.full(1 << 16, IGNORED, np.uint8)
        table[list(self.raw_ids)] = list(self.raw_ids.values())
        return table[raw_ids]


SEMANTIC_KITTI = ClassSet(
    "semantic_kitti",
    SEMANTIC_KITTI_CLASSES,
    SEMANTIC_KITTI_COLORS,
    SEMANTIC_KITTI_RAW_IDS,
    ground=("road", "parking", "sidewalk", "terrain"),
    rare=("bicycle", "motorcycle", "truck", "other-vehicle", "person", "bicyclist", "motorcyclist"),
)

NUSCENES_LIDARSEG = ClassSet(
    "nuscenes_lidarseg",
    NUSCENES_LIDARSEG_CLASSES,
    NUSCENES_LIDARSEG_COLORS,
    NUSCENES_LIDARSEG_RAW_IDS,
    ground=("driveable_surface", "other_flat", "sidewalk", "terrain"),
    rare=("bicycle", "bus", "construction_vehicle", "motorcycle", "pedestrian", "traffic_cone", "trailer", "truck"),
)

CLASS_SETS: tuple[ClassSet, ...] = (SEMANTIC_KITTI, NUSCENES_LIDARSEG)


#: Of classes that nuScenes does not colour.
GREY = (128, 128, 128)


def object_colors(names: Sequence[str]) -> list[tuple[int, int, int]]:
    """Give the RGB colour of each class of boxes: that of the points of such objects in nuScenes, else grey."""
    known = dict(zip(NUSCENES_LIDARSEG.names, NUSCENES_LIDARSEG.colors.tolist(), strict=True))
    return [tuple(known.get(name, GREY)) for name in names]


def class_set_named(names: tuple[str, ...]) -> ClassSet | None:
    """Find the class set with these names in this order; None where it is none of those known here."""
    return next((classes for classes in CLASS_SETS if classes.names == names), None)


def semantic_kitti_classes_of(raw_labels: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """Map SemanticKITTI label words (uint32 [N], instance in the high half) to class ids, uint8 [N]."""
    return SEMANTIC_KITTI.of_raw(raw_labels & 0xFFFF)

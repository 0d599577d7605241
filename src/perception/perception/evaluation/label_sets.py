"""In whose classes labels are judged, and how the truth and a network's own classes get there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from perception.classes import CLASS_SETS, IGNORED, NUSCENES_LIDARSEG, SEMANTIC_KITTI, ClassSet
from perception.configuration import ConfigurationError

Ids = NDArray[np.uint8]

#: SemanticKITTI's classes in nuScenes' words, after both data sets' instructions to those who label: riders have the
#: class of what they ride, parking lots are driveable, fences, poles and signs are man-made. Of `other-vehicle` nobody
#: knows whether it is a bus, a trailer or a construction vehicle: it is left out.
NUSCENES_OF_SEMANTIC_KITTI = {
    "car": "car",
    "bicycle": "bicycle",
    "motorcycle": "motorcycle",
    "truck": "truck",
    "person": "pedestrian",
    "bicyclist": "bicycle",
    "motorcyclist": "motorcycle",
    "road": "driveable_surface",
    "parking": "driveable_surface",
    "sidewalk": "sidewalk",
    "other-ground": "other_flat",
    "building": "manmade",
    "fence": "manmade",
    "vegetation": "vegetation",
    "trunk": "vegetation",
    "terrain": "terrain",
    "pole": "manmade",
    "traffic-sign": "manmade",
}


def label_set_named(name: str) -> ClassSet:
    """Find a label set.

    Raises:
        ConfigurationError: there is none of this name.
    """
    for label_set in CLASS_SETS:
        if label_set.name == name:
            return label_set
    known = ", ".join(label_set.name for label_set in CLASS_SETS)
    raise ConfigurationError(f"there is no label set {name}: use one of {known}")


def label_set_of(classes: tuple[str, ...]) -> ClassSet:
    """Give the label set that has most of a network's classes; of equal ones SemanticKITTI's, as the truth of bags."""
    return max(CLASS_SETS, key=lambda label_set: len(set(classes) & set(label_set.names)))


def truth_table(label_set: ClassSet) -> Ids:
    """Give the label set's id of each of SemanticKITTI's, in which the truth of bags is: uint8 [256]."""
    return ids_in(SEMANTIC_KITTI.names, label_set)


def ids_in(classes: Sequence[str], label_set: ClassSet) -> Ids:
    """Give the label set's id of each class by its name, or by what it is called there: uint8 [256], else IGNORED."""
    translated = NUSCENES_OF_SEMANTIC_KITTI if label_set == NUSCENES_LIDARSEG else {}
    table = np.full(256, IGNORED, np.uint8)
    for class_id, name in enumerate(classes):
        for known in (name, translated.get(name)):
            if known in label_set.names:
                table[class_id] = label_set.names.index(known)
                break
    return table


def unmapped(label_set: ClassSet) -> tuple[str, ...]:
    """Name the classes of the label set that no truth of a bag has."""
    return tuple(name for number, name in enumerate(label_set.names) if number not in set(truth_table(label_set)))

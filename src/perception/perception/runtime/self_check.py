"""The self-check of a bundle: a small cloud that it carries, with what its network must make of it.

It finds what a checksum cannot: kernels, an engine or a device that compute something else than where the bundle was
exported. Its file is `self_check.safetensors`: of a network that labels points it has the tensors `points` float32
[N, 4], `class_ids` uint8 [N] and `probabilities` float32 [N]; `perception.runtime.detection_check` says what it has of
a detector.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from perception.bundle.files import BundleFiles
from perception.bundle.format import DESCRIPTION_FILE, DetectionDescription
from perception.bundle.tensor_file import parse_tensors
from perception.configuration import ConfigurationError
from perception.runtime.detection_check import MOST_BOXES, compare_boxes, has_clear_boxes
from perception.runtime.engine import Engine
from perception.types import DetectedObjects, Frame, LabelledCloud, PointCloud

SELF_CHECK_FILE = "self_check.safetensors"
MOST_BYTES = 64 << 20
Tensors = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class SelfCheck:
    """What a self-check found.

    Attributes:
        points: of its cloud.
        agreement: share of the points with the label that they must have, or of the boxes that are where they must
            be, 0..1.
        largest_difference: between a probability, or the score of a box, and what it must be.
    """

    points: int
    agreement: float
    largest_difference: float


class _Task(NamedTuple):
    """How networks of one task are checked.

    Attributes:
        things: that agree or not.
        figures: that differ.
        min_agreement: half precision moves the labels of points that lie between two classes, and the boxes of which
            another is about as good.
        tensors: name -> type and sizes; letters stand for counts, C for the columns of a point.
        compare: (result, what the file holds, description) -> agreement, largest difference.
    """

    things: str
    figures: str
    min_agreement: float
    tensors: Mapping[str, tuple[type, tuple[str | int, ...]]]
    compare: Callable[[Any, Tensors, Any], tuple[float, float]]


def run_self_check(engine: Engine, folder: Path) -> SelfCheck | None:
    """Run a network on the cloud of its bundle's self-check, and compare.

    Args:
        engine: the bundle's network.
        folder: the bundle.

    Returns:
        How well it agrees; None where the bundle has no self-check.

    Raises:
        ConfigurationError: what it gives is not what it must be, or the file is damaged.
    """
    checksum = engine.description.files.get(SELF_CHECK_FILE)
    if checksum is None:
        return None
    content = BundleFiles(folder, DESCRIPTION_FILE).read(SELF_CHECK_FILE, MOST_BYTES, checksum)
    wanted = _parse(content, folder, engine.description)
    try:
        found = engine.forward(Frame(PointCloud(wanted["points"])))
    except ValueError as error:
        raise ConfigurationError(f"{folder}: cannot take the cloud of its self-check ({error})") from None
    task = TASKS[engine.description.task]
    agreement, difference = task.compare(found, wanted, engine.description)
    if not np.isfinite(difference):
        raise ConfigurationError(f"{folder}: fails its self-check on this device: {task.figures} are NaN or infinite")
    if agreement < task.min_agreement:
        raise ConfigurationError(
            f"{folder}: fails its self-check on this device: {100 * agreement:.2f} % of the {task.things} agree "
            f"(at least {100 * task.min_agreement:.0f} % must), "
            f"and {task.figures} differ by up to {difference:.2g}"
        )
    return SelfCheck(len(wanted["points"]), agreement, difference)


def _compare_labels(found: LabelledCloud, wanted: Tensors, _: Any) -> tuple[float, float]:
    differences = np.abs(found.probabilities - wanted["probabilities"])
    return float(np.mean(found.class_ids == wanted["class_ids"])), float(differences.max())


def _compare_objects(found: DetectedObjects, wanted: Tensors, description: DetectionDescription) -> tuple[float, float]:
    return compare_boxes(found.boxes, wanted, description)


TASKS = {
    "segmentation": _Task(
        "labels",
        "probabilities",
        0.99,
        {"points": (np.float32, ("N", 4)), "class_ids": (np.uint8, ("N",)), "probabilities": (np.float32, ("N",))},
        _compare_labels,
    ),
    "detection": _Task(
        "boxes",
        "scores",
        0.9,
        {
            "points": (np.float32, ("N", "C")),
            "boxes": (np.float32, ("M", 9)),
            "scores": (np.float32, ("M",)),
            "class_ids": (np.uint8, ("M",)),
        },
        _compare_objects,
    ),
}


def _parse(content: bytes, folder: Path, description: Any) -> dict[str, NDArray[Any]]:
    """The tensors of the file, which all have the sizes that they must have."""
    file = folder / SELF_CHECK_FILE
    tensors = parse_tensors(content, file)
    counts: dict[str | int, int] = {}
    if isinstance(description, DetectionDescription):
        counts["C"] = description.network.point_channels
    for name, (dtype, sizes) in TASKS[description.task].tensors.items():
        tensor = tensors.get(name)
        shape = () if tensor is None else tensor.shape
        fits = len(shape) == len(sizes)
        for size, found in zip(sizes, shape, strict=False):
            fits &= found == (counts.setdefault(size, found) if isinstance(size, str) else size)
        if tensor is None or tensor.dtype != dtype or not fits:
            wanted = ", ".join(map(str, sizes))
            raise ConfigurationError(f"{file}: '{name}' is not {dtype.__name__} [{wanted}]; export the bundle again")
        if not np.isfinite(tensor).all():
            raise ConfigurationError(f"{file}: '{name}' holds NaN or infinite values; export the bundle again")
    if isinstance(description, DetectionDescription):
        if not has_clear_boxes(tensors, description):
            raise ConfigurationError(f"{file}: 'scores' holds none above the smallest score; export the bundle again")
        if counts["M"] > MOST_BOXES:
            raise ConfigurationError(f"{file}: holds {counts['M']} boxes, more than {MOST_BOXES}; export it again")
    return tensors

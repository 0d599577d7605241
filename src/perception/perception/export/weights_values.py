"""What bundle.yaml says of a published checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from perception.bundle.detection import CenterDecoding, FlatFormerSettings
from perception.classes import NUSCENES_LIDARSEG, SEMANTIC_KITTI, object_colors
from perception.configuration import ConfigurationError
from perception.models.published import OFFICIAL_FEATURES, Published

#: Edge of the voxels that the official SPVNAS networks were trained on.
OFFICIAL_VOXEL_SIZE_M = 0.05


class ClassNames(NamedTuple):
    """Classes of points or of objects, in the order of a checkpoint.

    Attributes:
        name: of the data set.
        names: of the classes.
        colors: RGB.
    """

    name: str
    names: tuple[str, ...]
    colors: list[Any]


POINT_CLASSES = {
    name: ClassNames(one.name, one.names, one.colors.tolist())
    for name, one in {"semantic-kitti": SEMANTIC_KITTI, "nuscenes": NUSCENES_LIDARSEG}.items()
}
OBJECT_CLASSES = {
    "waymo": ClassNames("waymo", ("car", "pedestrian", "cyclist"), object_colors(("car", "pedestrian", "bicycle")))
}
#: Features of a point in the official Waymo networks -> how many sweeps they merge, and whose time lag is the last one.
OFFICIAL_SWEEPS = {5: 1, 6: 3}


def choose_classes(published: Published, file: Path, chosen: str | None) -> ClassNames:
    """Find the names of a checkpoint's classes, by default by their number.

    Raises:
        ConfigurationError: no data set known here, or not the chosen one, has so many.
    """
    known = OBJECT_CLASSES if isinstance(published.settings, FlatFormerSettings) else POINT_CLASSES
    fitting = {name: one for name, one in known.items() if len(one.names) == published.classes}
    name = chosen or next(iter(fitting), None)
    if name not in fitting:
        numbers = ", ".join(f"{name} has {len(one.names)}" for name, one in known.items())
        raise ConfigurationError(f"{file}: has {published.classes} classes; {numbers}")
    return fitting[name]


def describe_published(
    published: Published, classes: ClassNames, file: Path, voxel_size_m: float | None = None
) -> dict[str, Any]:
    """Give what a checkpoint alone decides; name, licence and origin are the user's.

    Args:
        published: the checkpoint.
        classes: of it.
        file: that it is in.
        voxel_size_m: edge of the voxels of a network that labels points; by default the official one.

    Raises:
        ConfigurationError: it takes other features than the engine has.
    """
    settings = published.settings
    values = {"format": 1, "network": settings.model_dump(), "classes": classes.names, "colors": classes.colors}
    if isinstance(settings, FlatFormerSettings):
        return values | _of_detector(settings, file)
    if settings.input_channels != OFFICIAL_FEATURES:
        raise ConfigurationError(
            f"{file}: takes {settings.input_channels} features a voxel, the engine has x, y, z, intensity"
        )
    size_m = OFFICIAL_VOXEL_SIZE_M if voxel_size_m is None else voxel_size_m
    return values | {"task": "segmentation", "voxel_size_m": size_m}


def _of_detector(settings: FlatFormerSettings, file: Path) -> dict[str, Any]:
    """The official Waymo detector's decoding and inputs."""
    if settings.point_channels not in OFFICIAL_SWEEPS:
        raise ConfigurationError(
            f"{file}: takes {settings.point_channels} features a point; the official detectors take x, y, z, "
            "intensity, elongation, and of several sweeps the time lag"
        )
    return {
        "task": "detection",
        "decoding": CenterDecoding().model_dump(),
        "required_fields": ("intensity", "elongation"),
        "squashed_columns": (3, 4),
        "sweeps": OFFICIAL_SWEEPS[settings.point_channels],
    }

"""Models of objects that have a bounding box: a mesh, or several for a gait, and the box around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perception.classes import SEMANTIC_KITTI_CLASSES
from perception.data.simulation.mesh import Mesh, merge, placement

CLASS_ID: dict[str, int] = {name: index for index, name in enumerate(SEMANTIC_KITTI_CLASSES)}


@dataclass(frozen=True)
class ObjectModel:
    """An object that stands on z = 0, centred on the origin, and faces +x.

    Attributes:
        phases: its mesh at each step of its gait; one for what does not change its shape.
        box_class: nuScenes class name of its box.
        size: float64 [3], length, width and height of the box around all phases.
        center: float64 [3], centre of that box.
        stride_m: way covered in one cycle of the phases.
    """

    phases: tuple[Mesh, ...]
    box_class: str
    size: NDArray[np.float64]
    center: NDArray[np.float64]
    stride_m: float = 1.0

    def phase_at(self, way_m: float) -> int:
        """Return the index of the phase after a way."""
        return int(way_m / self.stride_m * len(self.phases)) % len(self.phases)


def object_model(phases: Sequence[Sequence[Mesh]], box_class: str, stride_m: float = 1.0) -> ObjectModel:
    """Make a model from the parts of each phase; it is shifted so that its footprint is centred."""
    meshes = [merge(parts) for parts in phases]
    bounds = np.stack([mesh.bounds() for mesh in meshes])
    low, high = bounds[:, 0].min(axis=0), bounds[:, 1].max(axis=0)
    middle = 0.5 * (low + high) * np.array([1.0, 1.0, 0.0])
    shift = placement(-middle, 0.0)
    center = 0.5 * (low + high) - middle
    return ObjectModel(tuple(mesh.moved(shift) for mesh in meshes), box_class, high - low, center, stride_m)

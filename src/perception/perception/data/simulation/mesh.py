"""Triangle meshes whose faces know what they are: the simulator's world, apart from any sensor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from perception.data.simulation.materials import Material


class Paint(NamedTuple):
    """What a surface is: SemanticKITTI class id, material, and how much brighter than usual this one is."""

    class_id: int
    material: Material
    tint: float = 1.0


@dataclass(frozen=True)
class Mesh:
    """Triangles with a meaning; a camera or a lane map can be derived from the same description.

    Attributes:
        vertices: float32 [V, 3], metres.
        triangles: uint32 [T, 3], indices into vertices.
        class_ids: uint8 [T], SemanticKITTI class of each face, 255 where none fits.
        materials: uint8 [T], `Material` of each face.
        tints: float32 [T], factor on the material's reflectivity.
        instance_ids: uint32 [T], the object that a face belongs to, 0 for none.
    """

    vertices: NDArray[np.float32]
    triangles: NDArray[np.uint32]
    class_ids: NDArray[np.uint8]
    materials: NDArray[np.uint8]
    tints: NDArray[np.float32]
    instance_ids: NDArray[np.uint32]

    def moved(self, target_from_source: NDArray[np.float64]) -> Mesh:
        """Return the mesh under an affine transform, float64 [4, 4]."""
        linear = target_from_source[:3, :3].astype(np.float32)
        vertices = self.vertices @ linear.T + target_from_source[:3, 3].astype(np.float32)
        return replace(self, vertices=vertices)

    def as_instance(self, instance_id: int) -> Mesh:
        """Return the mesh with all of its faces belonging to one object."""
        return replace(self, instance_ids=np.full(len(self.triangles), instance_id, np.uint32))

    def bounds(self) -> NDArray[np.float64]:
        """Return the lowest and highest corner, float64 [2, 3]."""
        return np.stack([self.vertices.min(axis=0), self.vertices.max(axis=0)]).astype(np.float64)


def painted(vertices: ArrayLike, triangles: ArrayLike, paint: Paint) -> Mesh:
    """Make a mesh of one paint from vertices [V, 3] and triangles [T, 3]."""
    indices = np.asarray(triangles, np.uint32).reshape(-1, 3)
    count = len(indices)
    return Mesh(
        np.asarray(vertices, np.float32).reshape(-1, 3),
        indices,
        np.full(count, paint.class_id, np.uint8),
        np.full(count, paint.material, np.uint8),
        np.full(count, paint.tint, np.float32),
        np.zeros(count, np.uint32),
    )


def merge(meshes: Sequence[Mesh]) -> Mesh:
    """Join meshes into one; an empty sequence gives an empty mesh."""
    if not meshes:
        return painted(np.zeros((0, 3)), np.zeros((0, 3)), Paint(255, Material.STONE))
    counts = [len(mesh.vertices) for mesh in meshes]
    starts = np.concatenate([[0], np.cumsum(counts[:-1])]).astype(np.uint32)
    return Mesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([mesh.triangles + start for mesh, start in zip(meshes, starts, strict=True)]),
        np.concatenate([mesh.class_ids for mesh in meshes]),
        np.concatenate([mesh.materials for mesh in meshes]),
        np.concatenate([mesh.tints for mesh in meshes]),
        np.concatenate([mesh.instance_ids for mesh in meshes]),
    )


def placement(position: ArrayLike, yaw: float, scale: float | Sequence[float] = 1.0) -> NDArray[np.float64]:
    """Return the transform float64 [4, 4] that scales, turns about z by `yaw` and moves to `position`."""
    cosine, sine = np.cos(yaw), np.sin(yaw)
    matrix = np.eye(4)
    matrix[:3, :3] = np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]]) * np.asarray(scale)
    matrix[:3, 3] = position
    return matrix

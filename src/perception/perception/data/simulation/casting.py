"""Ray casting: the street that stands still, and the movers each in its own coordinates at each beam's own time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import open3d as o3d
from numpy.typing import NDArray

from perception.data.simulation.mesh import Mesh, merge, placement
from perception.data.simulation.models import ObjectModel

#: Distance between models in the gallery: far more than any beam reaches, near enough for float32.
_GALLERY_STEP_M = 400.0


@dataclass
class Hits:
    """What rays hit, one entry a ray; range is infinite where they hit nothing.

    Attributes:
        range_m: float32 [N].
        class_ids, materials: uint8 [N].
        tints: float32 [N].
        instance_ids: uint32 [N].
        incidence: float32 [N], cosine between beam and surface normal, 0..1.
    """

    range_m: NDArray[np.float32]
    class_ids: NDArray[np.uint8]
    materials: NDArray[np.uint8]
    tints: NDArray[np.float32]
    instance_ids: NDArray[np.uint32]
    incidence: NDArray[np.float32]

    def replace_nearer(self, rays: NDArray[np.int64], other: Hits) -> None:
        """Let `other`, the hits of the rays with these distinct indices, take over where it is nearer."""
        nearer = other.range_m < self.range_m[rays]
        for mine, theirs in zip(self._arrays(), other._arrays(), strict=True):
            mine[rays[nearer]] = theirs[nearer]

    def part(self, which: slice) -> Hits:
        """Return a view of some of the hits."""
        return Hits(*(values[which] for values in self._arrays()))

    def _arrays(self) -> tuple[NDArray, ...]:
        return self.range_m, self.class_ids, self.materials, self.tints, self.instance_ids, self.incidence


class CastingScene:
    """A mesh that rays can be cast against."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._scene = o3d.t.geometry.RaycastingScene()
        self._scene.add_triangles(
            o3d.core.Tensor.from_numpy(np.ascontiguousarray(mesh.vertices)),
            o3d.core.Tensor.from_numpy(np.ascontiguousarray(mesh.triangles)),
        )

    def cast(self, rays: NDArray[np.float32]) -> Hits:
        """Cast rays float32 [N, 6], origins and unit directions."""
        answer = self._scene.cast_rays(o3d.core.Tensor.from_numpy(rays))
        face = answer["primitive_ids"].numpy()
        range_m = answer["t_hit"].numpy()
        face = np.where(np.isfinite(range_m), face, 0)
        normals = answer["primitive_normals"].numpy()
        incidence = np.abs(np.einsum("ij,ij->i", normals, rays[:, 3:]))
        mesh = self._mesh
        return Hits(
            range_m, mesh.class_ids[face], mesh.materials[face], mesh.tints[face], mesh.instance_ids[face], incidence
        )


class Gallery:
    """The models of movers, each phase at a place of its own in one scene, so that one call casts against them all."""

    def __init__(self, models: Sequence[ObjectModel]) -> None:
        unique = list({id(model): model for model in models}.values())
        slots = [(id(model), phase, mesh) for model in unique for phase, mesh in enumerate(model.phases)]
        side = int(np.ceil(len(slots) ** (1 / 3))) if slots else 1
        grid = np.stack(np.unravel_index(np.arange(len(slots)), (side, side, side)), axis=1) - 0.5 * side
        self._place = {
            (model, phase): place * _GALLERY_STEP_M for (model, phase, _), place in zip(slots, grid, strict=True)
        }
        meshes = [mesh.moved(placement(self._place[model, phase], 0.0)) for model, phase, mesh in slots]
        self._scene = CastingScene(merge(meshes)) if meshes else None

    def place(self, model: ObjectModel, phase: int) -> NDArray[np.float64]:
        """Return where a phase of a model stands in the gallery, float64 [3]."""
        return self._place[id(model), phase]

    def cast(self, rays: NDArray[np.float32]) -> Hits:
        """Cast rays given in the gallery's coordinates, float32 [N, 6]."""
        if self._scene is None:
            raise ValueError("an empty gallery has nothing to hit")
        hits = self._scene.cast(rays)
        hits.range_m[hits.range_m > 0.5 * _GALLERY_STEP_M] = np.inf  # a neighbour in the gallery
        return hits

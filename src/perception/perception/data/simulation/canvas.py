"""Where things are put: collects the meshes and objects of one stretch, given in street coordinates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from perception.data.simulation.centerline import Centerline
from perception.data.simulation.layout import Stretch
from perception.data.simulation.library import Library
from perception.data.simulation.mesh import Mesh, placement
from perception.data.simulation.models import ObjectModel

Item = TypeVar("Item")


@dataclass(frozen=True)
class PlacedObject:
    """An object that stands still: its id, its model, and world_from_object, float64 [4, 4]."""

    instance_id: int
    model: ObjectModel
    world_from_object: NDArray[np.float64]


@dataclass
class Canvas:
    """One stretch being filled. Distances are from the centre line, on the stretch's side."""

    generator: np.random.Generator
    line: Centerline
    stretch: Stretch
    library: Library
    first_instance_id: int
    meshes: list[Mesh] = field(default_factory=list)
    objects: list[PlacedObject] = field(default_factory=list)
    _reserved: list[tuple[float, float]] = field(default_factory=list)

    def pick(self, items: Sequence[Item]) -> Item:
        """Draw one of several items."""
        return items[int(self.generator.integers(len(items)))]

    def chance(self, probability: float) -> bool:
        """Draw yes or no."""
        return bool(self.generator.random() < probability)

    def reserve(self, low: float, high: float) -> bool:
        """Claim a range of ways along the sidewalk's inner edge; False where something stands there already."""
        if any(low < taken_high and high > taken_low for taken_low, taken_high in self._reserved):
            return False
        self._reserved.append((low, high))
        return True

    def lift(self, along: float, distance: float) -> float:
        """Return the height of the surface over the bare ground."""
        return float(self.stretch.lift(np.array(along), np.array(distance)))

    def outward(self) -> float:
        """Return the yaw that looks away from the centre line."""
        return 0.5 * np.pi * self.stretch.side

    def put_mesh(self, mesh: Mesh, along: float, distance: float, yaw: float = 0.0, scale: float = 1.0) -> None:
        """Add something that is no object of its own, upright; yaw 0 looks along the street, on either side."""
        position = self.line.world(along, self.stretch.side * distance, self.lift(along, distance))
        self.meshes.append(mesh.moved(placement(position, float(self.line.heading(along)) + yaw, scale)))

    def put_object(self, model: ObjectModel, along: float, distance: float, yaw: float = 0.0) -> None:
        """Add an object with a box, tilted as the street is; yaw 0 looks along the street, on either side."""
        pose = self.line.frames(along, self.stretch.side * distance, self.lift(along, distance), yaw)
        placed = PlacedObject(self.first_instance_id + len(self.objects), model, pose)
        self.objects.append(placed)
        mesh = model.phases[0]
        self.meshes.append(mesh.moved(placed.world_from_object).as_instance(placed.instance_id))

    def ways(self, mean_gap_m: float, margin_m: float = 1.0) -> Iterator[float]:
        """Yield ways along the stretch with random gaps about the mean."""
        way = self.stretch.start_m + margin_m + self.generator.uniform(0.0, 0.6 * mean_gap_m)
        while way < self.stretch.end_m - margin_m:
            yield float(way)
            way += mean_gap_m * self.generator.uniform(0.6, 1.4)

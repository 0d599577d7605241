"""A procedural street: what stands still in the world of one drive, built as the drive reaches it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from perception.data.simulation.canvas import Canvas, PlacedObject
from perception.data.simulation.centerline import Centerline
from perception.data.simulation.frontage import furnish_frontage
from perception.data.simulation.ground import ground
from perception.data.simulation.kerbside import furnish_kerbside
from perception.data.simulation.layout import Stretch, plan_side
from perception.data.simulation.library import draw_library
from perception.data.simulation.mesh import Mesh, merge
from perception.data.simulation.settings import StreetSettings

#: Instance ids of what stands still begin here, those of traffic at 1.
FIRST_STATIC_ID = 10_000
_IDS_PER_STRETCH = 1_000


@dataclass(frozen=True)
class StreetPart:
    """What stands still on one stretch: its mesh in world coordinates and the objects in it."""

    mesh: Mesh
    objects: tuple[PlacedObject, ...]


class Street:
    """The street of one seed, `start_m` to `end_m` along its centre line.

    The same seed, settings and bounds give the same street, in whatever order its parts are asked for.
    """

    def __init__(self, seed: int, settings: StreetSettings, start_m: float, end_m: float) -> None:
        self.seed = seed
        self.settings = settings
        generator = np.random.default_rng([seed, 0])
        self.line = Centerline(generator, settings, start_m - 30.0, end_m + 30.0)
        self.library = draw_library(generator)
        self.sides = {side: plan_side(generator, settings, side, start_m, end_m) for side in (-1, 1)}
        self._tints = generator.uniform((0.65, 0.6, 0.8, 0.8), (1.3, 1.2, 1.2, 1.25))
        self._starts = {side: np.array([stretch.start_m for stretch in self.sides[side]]) for side in (-1, 1)}
        self._parts: dict[tuple[int, int], StreetPart] = {}

    def stretch_at(self, side: int, along: float) -> Stretch:
        """Return the stretch of a side at a way along the street, the nearest one beyond its ends."""
        index = int(np.searchsorted(self._starts[side], along, side="right")) - 1
        return self.sides[side][max(index, 0)]

    def lift(self, along: float, left: float) -> float:
        """Return the height of the surface over the bare ground: kerbs and the like."""
        stretch = self.stretch_at(1 if left > 0 else -1, along)
        return float(stretch.lift(np.array(along), np.array(abs(left))))

    def between(self, start_m: float, end_m: float) -> list[StreetPart]:
        """Return the parts that reach into a range of ways, building those that are new and forgetting those before."""
        wanted = [
            stretch
            for side in (-1, 1)
            for stretch in self.sides[side]
            if stretch.end_m > start_m and stretch.start_m < end_m
        ]
        keys = [(stretch.side, stretch.number) for stretch in wanted]
        self._parts = {
            key: self._parts.get(key) or self._build(stretch) for key, stretch in zip(keys, wanted, strict=True)
        }
        return list(self._parts.values())

    def _build(self, stretch: Stretch) -> StreetPart:
        generator = np.random.default_rng([self.seed, 1 + (stretch.side > 0), stretch.number])
        number = 2 * stretch.number + (stretch.side > 0)
        canvas = Canvas(generator, self.line, stretch, self.library, FIRST_STATIC_ID + number * _IDS_PER_STRETCH)
        furnish_kerbside(canvas, self.settings)
        furnish_frontage(canvas, self.settings)
        surface = ground(generator, self.line, stretch, self._tints)
        return StreetPart(merge([surface, *canvas.meshes]), tuple(canvas.objects))

"""The models that one drive draws from: made once, placed many times."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from perception.data.simulation.cars import car
from perception.data.simulation.heavy_vehicles import bus, truck
from perception.data.simulation.mesh import Mesh
from perception.data.simulation.models import ObjectModel
from perception.data.simulation.people import bicyclist, person
from perception.data.simulation.plants import bush, tree
from perception.data.simulation.two_wheelers import bicycle, motorcycle


@dataclass(frozen=True)
class Library:
    """Models of each kind of thing."""

    cars: tuple[ObjectModel, ...]
    trucks: tuple[ObjectModel, ...]
    buses: tuple[ObjectModel, ...]
    walkers: tuple[ObjectModel, ...]
    standing: tuple[ObjectModel, ...]
    bicyclists: tuple[ObjectModel, ...]
    bicycles: tuple[ObjectModel, ...]
    motorcycles: tuple[ObjectModel, ...]
    trees: tuple[Mesh, ...]
    small_trees: tuple[Mesh, ...]
    bushes: tuple[Mesh, ...]


def draw_library(generator: np.random.Generator) -> Library:
    """Draw the models of one drive."""

    def several(count: int, draw: Callable[[np.random.Generator], ObjectModel]) -> tuple[ObjectModel, ...]:
        return tuple(draw(generator) for _ in range(count))

    return Library(
        cars=several(14, car),
        trucks=several(7, truck),
        buses=several(4, bus),
        walkers=several(12, person),
        standing=several(10, lambda source: person(source, walking=False)),
        bicyclists=several(8, bicyclist),
        bicycles=several(7, bicycle),
        motorcycles=several(6, motorcycle),
        trees=tuple(tree(generator) for _ in range(10)),
        small_trees=tuple(tree(generator, small=True) for _ in range(6)),
        bushes=tuple(bush(generator) for _ in range(8)),
    )

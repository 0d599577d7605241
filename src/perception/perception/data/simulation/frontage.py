"""What lies behind the sidewalk: rows of buildings, gardens, open land, parking lots, the sides of side streets."""

from __future__ import annotations

import numpy as np

from perception.data.simulation.buildings import building
from perception.data.simulation.canvas import Canvas
from perception.data.simulation.furniture import fence
from perception.data.simulation.kerbside import parked_vehicle
from perception.data.simulation.layout import FAR_M, Frontage
from perception.data.simulation.plants import hedge, tall_grass
from perception.data.simulation.settings import StreetSettings


def furnish_frontage(canvas: Canvas, settings: StreetSettings) -> None:
    """Fill the land behind the sidewalk of a stretch."""
    if canvas.stretch.frontage is Frontage.BUILDINGS:
        _row_of_buildings(canvas)
    elif canvas.stretch.frontage is Frontage.GARDENS:
        _gardens(canvas)
    elif canvas.stretch.frontage is Frontage.OPEN_LAND:
        _open_land(canvas)
    elif canvas.stretch.frontage is Frontage.PARKING_LOT:
        _parking_lot(canvas, settings)
    else:
        _end_of_side_street(canvas)


def _put_along(canvas: Canvas, mesh_length: float, along: float) -> tuple[float, float]:
    """Way and yaw at which a mesh that runs along its +x from 0 begins, with +y away from the road."""
    return (along, 0.0) if canvas.stretch.side > 0 else (along + mesh_length, np.pi)


def _put_building(canvas: Canvas, along: float, distance: float, width: float, floors: int) -> None:
    depth = canvas.generator.uniform(7.0, 12.0)
    way, yaw = _put_along(canvas, width, along)
    canvas.put_mesh(building(canvas.generator, width, depth, floors), way, distance, yaw)


def _row_of_buildings(canvas: Canvas) -> None:
    stretch, generator = canvas.stretch, canvas.generator
    setback = stretch.sidewalk_edge_m + float(generator.choice([0.15, 0.5, generator.uniform(1.0, 4.0)]))
    way = stretch.start_m
    while way < stretch.end_m - 3.0:
        width = min(generator.uniform(6.0, 16.0), stretch.end_m - way)
        if width > 4.5 and canvas.chance(0.9):
            _put_building(
                canvas, way, setback + max(0.0, generator.normal(0.0, 0.35)), width, int(generator.integers(1, 6))
            )
            way += width
        else:
            _gap_between_buildings(canvas, way, min(4.5, width), setback)
            way += 4.5
    if setback > stretch.sidewalk_edge_m + 0.9 and canvas.chance(0.5):
        _boundary(canvas, stretch.sidewalk_edge_m + 0.2)


def _gap_between_buildings(canvas: Canvas, along: float, width: float, distance: float) -> None:
    way, yaw = _put_along(canvas, width, along)
    canvas.put_mesh(fence(canvas.generator, width), way, distance + 0.5, yaw)
    canvas.put_mesh(
        canvas.pick(canvas.library.trees), along + 0.5 * width, distance + canvas.generator.uniform(3.0, 9.0)
    )


def _boundary(canvas: Canvas, distance: float) -> None:
    """A fence, a hedge or a wall in pieces, with openings."""
    stretch, generator = canvas.stretch, canvas.generator
    hedged = canvas.chance(0.45)
    height, width = generator.uniform(0.8, 2.2), generator.uniform(0.5, 1.0)
    way = stretch.start_m + generator.uniform(0.0, 2.0)
    while way < stretch.end_m - 2.0:
        # short pieces follow the street's bends
        length = float(min(generator.uniform(4.0, 8.0), stretch.end_m - way))
        start, yaw = _put_along(canvas, length, way)
        mesh = hedge(generator, length, height, width) if hedged else fence(generator, length)
        canvas.put_mesh(mesh, start, distance + (0.5 * width if hedged else 0.0), yaw)
        way += length + (generator.uniform(1.0, 4.0) if canvas.chance(0.25) else 0.0)


def _plant(canvas: Canvas, low: float, high: float, trees: int, bushes: int) -> None:
    stretch, generator = canvas.stretch, canvas.generator
    for count, kinds in ((trees, canvas.library.trees + canvas.library.small_trees), (bushes, canvas.library.bushes)):
        for _ in range(count):
            way = generator.uniform(stretch.start_m, stretch.end_m)
            scale = generator.uniform(0.8, 1.25)
            canvas.put_mesh(canvas.pick(kinds), way, generator.uniform(low, high), generator.uniform(0, 6.28), scale)


def _thicket(canvas: Canvas, distance: float) -> None:
    """Shrubs that have grown into one another, along a whole stretch."""
    stretch, generator = canvas.stretch, canvas.generator
    scale = generator.uniform(1.2, 2.4)
    for row in range(int(generator.integers(1, 3))):
        for way in np.arange(stretch.start_m + 1.0, stretch.end_m - 1.0, 0.95 * scale):
            place = distance + scale * (1.0 + 1.2 * row) + generator.normal(0.0, 0.3)
            size = scale * generator.uniform(0.7, 1.3)
            canvas.put_mesh(canvas.pick(canvas.library.bushes), float(way), place, generator.uniform(0, 6.28), size)


def _gardens(canvas: Canvas) -> None:
    stretch, generator = canvas.stretch, canvas.generator
    if canvas.chance(0.8):
        _boundary(canvas, stretch.sidewalk_edge_m + 1.9)
    setback = stretch.sidewalk_edge_m + generator.uniform(5.0, 11.0)
    _plant(
        canvas,
        stretch.sidewalk_edge_m + 2.5,
        setback - 1.2,
        int(generator.integers(0, 3)),
        int(generator.integers(1, 5)),
    )
    way = stretch.start_m + generator.uniform(0.0, 4.0)
    while way < stretch.end_m - 7.0:
        width = min(generator.uniform(7.0, 12.0), stretch.end_m - way)
        _put_building(canvas, way, setback + generator.uniform(0.0, 1.5), width, int(generator.integers(1, 4)))
        way += width + generator.uniform(2.5, 7.0)
    _plant(canvas, setback + 14.0, FAR_M - 6.0, 2, 0)


def _open_land(canvas: Canvas) -> None:
    stretch, generator = canvas.stretch, canvas.generator
    if canvas.chance(0.4):
        _boundary(canvas, stretch.sidewalk_edge_m + 2.0)
    if canvas.chance(0.6):
        _thicket(canvas, stretch.sidewalk_edge_m + generator.uniform(2.2, 9.0))
    density = generator.uniform(0.3, 1.4)
    trees, bushes = (int(generator.poisson(rate * density * stretch.length_m / 28.0)) for rate in (7.0, 8.0))
    _plant(canvas, stretch.sidewalk_edge_m + 2.6, 26.0, trees, bushes)
    if canvas.chance(0.5):
        length = 0.6 * stretch.length_m
        start, yaw = _put_along(canvas, length, stretch.start_m + generator.uniform(0, 0.4) * stretch.length_m)
        canvas.put_mesh(
            tall_grass(generator, length, generator.uniform(2.0, 6.0)), start, stretch.sidewalk_edge_m + 3.0, yaw
        )
    if canvas.chance(0.5):
        _put_building(canvas, stretch.start_m + 2.0, generator.uniform(30.0, 40.0), stretch.length_m - 4.0, 3)
    _plant(canvas, 28.0, FAR_M - 4.0, int(generator.integers(2, 6)), 0)


def _parking_lot(canvas: Canvas, settings: StreetSettings) -> None:
    stretch, generator = canvas.stretch, canvas.generator
    taken = generator.uniform(0.5, 1.0) * settings.parked * 1.2
    way = stretch.start_m + 1.5
    while way < stretch.end_m - 1.5:
        model = parked_vehicle(canvas)
        if model.size[0] < stretch.lot_edge_m - stretch.sidewalk_edge_m - 0.2 and canvas.chance(taken):
            yaw = canvas.outward() + np.pi * generator.integers(2) + generator.normal(0.0, 0.03)
            canvas.put_object(model, way, stretch.sidewalk_edge_m + 0.15 + 0.5 * model.size[0], yaw)
        way += generator.uniform(2.6, 3.0)
    if canvas.chance(0.5):
        _boundary(canvas, stretch.lot_edge_m + 0.5)
    else:
        _plant(canvas, stretch.lot_edge_m + 1.0, stretch.lot_edge_m + 4.0, 2, 3)
    distance = stretch.lot_edge_m + generator.uniform(3.0, 12.0)
    _put_building(canvas, stretch.start_m + 1.0, distance, stretch.length_m - 2.0, int(generator.integers(1, 5)))


def _end_of_side_street(canvas: Canvas) -> None:
    stretch, generator = canvas.stretch, canvas.generator
    if canvas.chance(0.5):
        _put_building(canvas, stretch.start_m, FAR_M - 8.0, stretch.length_m, int(generator.integers(2, 5)))
    for distance in np.arange(stretch.sidewalk_edge_m + 6.0, FAR_M - 12.0, generator.uniform(9.0, 16.0)):
        trees = canvas.library.small_trees
        canvas.put_mesh(canvas.pick(trees), stretch.start_m + 0.9, distance, generator.uniform(0, 6.28), 0.9)

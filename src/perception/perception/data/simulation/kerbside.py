"""What stands between the road and the fronts of the houses: parked vehicles, lamps, signs, trees, people."""

from __future__ import annotations

import numpy as np

from perception.data.simulation.canvas import Canvas
from perception.data.simulation.furniture import lamp, litter_bin, post, traffic_sign
from perception.data.simulation.layout import Frontage
from perception.data.simulation.models import ObjectModel
from perception.data.simulation.settings import StreetSettings


def furnish_kerbside(canvas: Canvas, settings: StreetSettings) -> None:
    """Fill parking strip, verge and sidewalk of a stretch."""
    if canvas.stretch.frontage is Frontage.SIDE_STREET:
        _side_street_corner(canvas)
        return
    if canvas.stretch.parking_edge_m > canvas.stretch.road_edge_m:
        _park_along(canvas, settings)
    _furniture(canvas, settings)
    _racks(canvas, settings)
    _people(canvas, settings)


def parked_vehicle(canvas: Canvas) -> ObjectModel:
    """Draw what stands on a parking place."""
    library = canvas.library
    kinds = (library.cars, library.trucks, library.buses, library.motorcycles)
    return canvas.pick(kinds[int(canvas.generator.choice(4, p=[0.73, 0.11, 0.04, 0.12]))])


def _park_along(canvas: Canvas, settings: StreetSettings) -> None:
    stretch, generator = canvas.stretch, canvas.generator
    middle = 0.5 * (stretch.road_edge_m + stretch.parking_edge_m)
    taken = np.clip(generator.normal(settings.parked, 0.15), 0.0, 1.0)
    way = stretch.start_m + generator.uniform(0.8, 3.0)
    while True:
        model = parked_vehicle(canvas)
        if way + model.size[0] > stretch.end_m - 0.8:
            return
        if canvas.chance(taken):
            yaw = (0.0 if stretch.side < 0 else np.pi) + (np.pi if canvas.chance(0.12) else 0.0)
            lateral = middle + generator.normal(0.0, 0.08) + max(0.0, 0.5 * (model.size[1] - 2.1))
            canvas.put_object(model, way + 0.5 * model.size[0], lateral, yaw + generator.normal(0.0, 0.03))
        way += model.size[0] + generator.uniform(0.5, 1.8)


def _furniture(canvas: Canvas, settings: StreetSettings) -> None:
    stretch, generator = canvas.stretch, canvas.generator
    has_verge = stretch.verge_edge_m > stretch.parking_edge_m
    row = 0.5 * (stretch.verge_edge_m + stretch.parking_edge_m) if has_verge else stretch.parking_edge_m + 0.4
    wide = has_verge or stretch.sidewalk_edge_m - stretch.verge_edge_m > 2.6
    weights = np.array([0.18, 0.33, 0.08, 0.33 if wide else 0.05, 0.10 if has_verge else 0.02, 0.07])
    for way in canvas.ways(settings.furniture_gap_m):
        kind = int(generator.choice(6, p=weights / weights.sum()))
        towards_road = canvas.outward() + np.pi - 0.5 * np.pi  # a lamp's arm reaches along its +y
        if kind == 0:
            canvas.put_mesh(lamp(generator), way, row, towards_road)
        elif kind == 1:
            canvas.put_mesh(traffic_sign(generator), way, row, _facing_drivers(canvas))
        elif kind == 2:
            canvas.put_mesh(post(generator), way, row, towards_road)
        elif kind == 3:
            trees = canvas.library.trees if canvas.chance(0.6) else canvas.library.small_trees
            canvas.put_mesh(canvas.pick(trees), way, row, generator.uniform(0, 6.28), generator.uniform(0.85, 1.2))
        elif kind == 4:
            canvas.put_mesh(canvas.pick(canvas.library.bushes), way, row, generator.uniform(0, 6.28), 0.6)
        else:
            canvas.put_mesh(litter_bin(generator), way, row, 0.0)


def _facing_drivers(canvas: Canvas) -> float:
    """Signs show their face (-x) to those who drive on their side of the road; some face across or backwards."""
    yaw = 0.0 if canvas.stretch.side < 0 else np.pi
    turned = float(canvas.generator.choice([0.0, 0.5 * np.pi, np.pi], p=[0.7, 0.15, 0.15]))
    return yaw + turned + canvas.generator.normal(0.0, 0.12)


def _people(canvas: Canvas, settings: StreetSettings) -> None:
    """People who stand alone or in groups at the inner edge of the sidewalk, beside the lane of those who walk."""
    stretch, generator = canvas.stretch, canvas.generator
    for _ in range(int(generator.poisson(settings.standing_per_100_m * stretch.length_m / 100.0))):
        way = generator.uniform(stretch.start_m + 1.0, stretch.end_m - 3.0)
        companions = int(generator.integers(1, 4))
        if not canvas.reserve(way - 0.5, way + 0.9 * companions):
            continue
        for companion in range(companions):
            shift = 0.9 * companion + generator.normal(0.0, 0.05)
            model = canvas.pick(canvas.library.standing)
            canvas.put_object(model, way + shift, stretch.sidewalk_edge_m - 0.25, generator.uniform(0, 6.28))


def _racks(canvas: Canvas, settings: StreetSettings) -> None:
    """Bicycles and motorcycles: one against the wall or the hedge, or a row across where there is room behind."""
    stretch, generator = canvas.stretch, canvas.generator
    room_behind = stretch.frontage in (Frontage.GARDENS, Frontage.OPEN_LAND)
    for way in canvas.ways(10.0, margin_m=2.0):
        if not canvas.chance(settings.parked_bicycles):
            continue
        engines = canvas.chance(0.38)
        models = canvas.library.motorcycles if engines else canvas.library.bicycles
        count = int(generator.integers(1, 6)) if room_behind else 1
        if count == 1 and canvas.reserve(way - 1.2, way + 1.2):
            yaw = np.pi * generator.integers(2) + generator.normal(0.0, 0.08)
            canvas.put_object(canvas.pick(models), way, stretch.sidewalk_edge_m - 0.35, yaw)
        elif count > 1:
            _row(canvas, models, way, count, 1.0 if engines else generator.uniform(0.66, 0.85))


def _row(canvas: Canvas, models: tuple[ObjectModel, ...], start_m: float, count: int, pitch_m: float) -> None:
    """Two-wheelers side by side behind the sidewalk, at right angles to it."""
    stretch, generator = canvas.stretch, canvas.generator
    end_m = min(start_m + count * pitch_m, stretch.end_m - 0.5)
    if not canvas.reserve(start_m - 0.5, end_m):
        return
    for way in np.arange(start_m, end_m, pitch_m):
        yaw = canvas.outward() + np.pi * generator.integers(2) + generator.normal(0.0, 0.07)
        canvas.put_object(canvas.pick(models), float(way), stretch.sidewalk_edge_m + 0.95, yaw)


def _side_street_corner(canvas: Canvas) -> None:
    """A sign and a lamp at the corners, vehicles that wait or park in the side street."""
    stretch, generator = canvas.stretch, canvas.generator
    corner = stretch.road_edge_m + 0.7
    sign_yaw = _facing_drivers(canvas)
    canvas.put_mesh(traffic_sign(generator), stretch.start_m + 0.8, corner, sign_yaw)
    facing_side_street = canvas.outward() + np.pi
    canvas.put_mesh(traffic_sign(generator), stretch.end_m - 1.2, stretch.sidewalk_edge_m + 0.5, facing_side_street)
    canvas.put_mesh(lamp(generator), stretch.end_m - 0.7, corner, canvas.outward() + 0.5 * np.pi)
    low, high = stretch.opening_m()
    for lane, yaw in ((0.27, canvas.outward()), (0.73, canvas.outward() + np.pi)):
        if canvas.chance(0.6):
            model = parked_vehicle(canvas)
            distance = stretch.sidewalk_edge_m + 0.5 * model.size[0] + generator.uniform(1.0, 9.0)
            canvas.put_object(model, low + lane * (high - low), distance, yaw + generator.normal(0.0, 0.05))

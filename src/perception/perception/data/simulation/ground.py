"""The ground of a stretch: road, parking, kerb, sidewalk and terrain, with lane markings."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from perception.data.simulation.centerline import Centerline
from perception.data.simulation.layout import FAR_M, Frontage, Stretch
from perception.data.simulation.materials import Material
from perception.data.simulation.mesh import Mesh, Paint, merge
from perception.data.simulation.models import CLASS_ID
from perception.data.simulation.relief import relief
from perception.data.simulation.shapes import panel

_SKIRT_M = 0.35
_MARKING_M = 0.006
#: Surface number -> (class, material).
_SURFACES = (
    ("road", Material.ASPHALT),
    ("parking", Material.PARKING),
    ("terrain", Material.GRASS),
    ("sidewalk", Material.PAVEMENT),
)
_ROAD, _PARKING, _TERRAIN, _SIDEWALK = range(4)


def ground(generator: np.random.Generator, line: Centerline, stretch: Stretch, tints: NDArray[np.float64]) -> Mesh:
    """Build the ground of a stretch in world coordinates.

    `tints`, float64 [4], are the brightness of road, parking, terrain and sidewalk, the same along a street.
    """
    along, across = _along_edges(stretch), _across_edges(stretch)
    middle_along, middle_across = 0.5 * (along[1:] + along[:-1]), 0.5 * (across[1:] + across[:-1])
    grid_along, grid_across = np.meshgrid(middle_along, middle_across, indexing="ij")
    surface = _surface(stretch, grid_along, grid_across)
    lift = stretch.lift(grid_along, grid_across)
    lift[[0, -1]] = -_SKIRT_M  # cells without length: their upright faces close the stretch's ends
    classes = np.array([CLASS_ID[name] for name, _ in _SURFACES], np.uint8)[surface]
    materials = np.array([material for _, material in _SURFACES], np.uint8)[surface]
    cells = relief(along, across, lift, classes, materials)
    by_class = np.ones(256)
    by_class[[CLASS_ID[name] for name, _ in _SURFACES]] = tints
    cells = replace(cells, tints=by_class[cells.class_ids].astype(np.float32))
    return _into_world(merge([cells, _markings(generator, stretch)]), line, stretch.side)


def _into_world(mesh: Mesh, line: Centerline, side: int) -> Mesh:
    along, distance, above = mesh.vertices.astype(np.float64).T
    return replace(mesh, vertices=line.world(along, side * distance, above).astype(np.float32))


def _along_edges(stretch: Stretch) -> NDArray[np.float64]:
    edges = [np.arange(stretch.start_m, stretch.end_m + 0.5, 1.0), np.array([stretch.start_m, stretch.end_m])]
    if stretch.frontage is Frontage.SIDE_STREET:
        edges.append(np.array(stretch.opening_m()))
    inner = np.unique(np.concatenate(edges))
    return np.concatenate([inner[:1], inner, inner[-1:]])


def _across_edges(stretch: Stretch) -> NDArray[np.float64]:
    known = [0.0, stretch.road_edge_m, stretch.parking_edge_m, stretch.verge_edge_m, stretch.sidewalk_edge_m]
    known += [stretch.lot_edge_m, 30.0, FAR_M]
    edges: list[NDArray[np.float64]] = []
    for low, high in pairwise(known):
        step = 1.5 if high <= 30.0 else 4.0
        edges.append(np.linspace(low, high, max(2, int(np.ceil((high - low) / step)) + 1)))
    return np.unique(np.concatenate(edges))


def _surface(stretch: Stretch, along: NDArray[np.float64], distance: NDArray[np.float64]) -> NDArray[np.int64]:
    edges = [stretch.road_edge_m, stretch.parking_edge_m, stretch.verge_edge_m, stretch.sidewalk_edge_m]
    kinds = np.array([_ROAD, _PARKING, _TERRAIN, _SIDEWALK, _TERRAIN])
    surface = kinds[np.searchsorted(edges, distance)]
    if stretch.frontage is Frontage.PARKING_LOT:
        surface[(distance > stretch.sidewalk_edge_m) & (distance < stretch.lot_edge_m)] = _PARKING
    if stretch.frontage is Frontage.SIDE_STREET:
        low, high = stretch.opening_m()
        open_road = (along > low) & (along < high)
        surface = np.where(open_road | (distance < stretch.road_edge_m), _ROAD, _SIDEWALK)
    return surface


def _markings(generator: np.random.Generator, stretch: Stretch) -> Mesh:
    """Paint on the road: a dashed centre line, the edge of the bicycle strip, a crossing at a side street."""
    dashes = np.arange(stretch.start_m + 0.5, stretch.end_m - 3.0, 6.0)
    strips = [(start, start + 3.0, 0.0, 0.07) for start in dashes] if stretch.side > 0 else []
    if stretch.road_edge_m - stretch.lane_m > 1.0:
        bicycle_lane = stretch.road_edge_m - 1.1
        for start in np.arange(stretch.start_m, stretch.end_m - 0.5, 2.0):
            strips.append((start, start + 1.0, bicycle_lane - 0.06, bicycle_lane + 0.06))
    if stretch.frontage is Frontage.SIDE_STREET and generator.random() < 0.6:
        low, high = stretch.opening_m()
        for start in np.arange(low + 0.3, high - 0.5, 1.0):
            strips.append((start, start + 0.5, stretch.sidewalk_edge_m - 2.2, stretch.sidewalk_edge_m - 0.2))
    if stretch.frontage is Frontage.SIDE_STREET and generator.random() < 0.4:
        for start in np.arange(0.3, stretch.road_edge_m - 0.4, 1.0):
            strips.append((stretch.start_m - 0.5, stretch.start_m + 2.3, start, start + 0.5))
    paint = Paint(CLASS_ID["road"], Material.MARKING, float(generator.uniform(0.6, 1.1)))
    if not strips:
        return merge([])
    low_along, high_along, low_across, high_across = np.array(strips).T
    above = np.full(len(strips), _MARKING_M)
    corners = [(low_along, low_across, above), (high_along, low_across, above)]
    corners += [(high_along, high_across, above), (low_along, high_across, above)]
    return panel(np.stack([np.stack(corner, axis=1) for corner in corners], axis=1), paint)

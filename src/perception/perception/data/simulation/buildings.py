"""Buildings: fronts with recessed windows and doors, ledges and balconies, side walls and roofs."""

from __future__ import annotations

import numpy as np

from perception.data.simulation.materials import Material
from perception.data.simulation.mesh import Mesh, Paint, merge
from perception.data.simulation.models import CLASS_ID
from perception.data.simulation.relief import relief
from perception.data.simulation.shapes import box, panel

_BUILDING = CLASS_ID["building"]


def building(generator: np.random.Generator, width: float, depth: float, floors: int) -> Mesh:
    """Draw a building whose front lies along x from 0 to `width` at y = 0 and looks towards -y."""
    storey = generator.uniform(2.7, 3.5)
    height = floors * storey + generator.uniform(0.2, 0.9)
    wall = Paint(_BUILDING, Material.STONE, float(generator.uniform(0.55, 1.35)))
    base = 0.8  # the walls reach below the ground, which slopes
    parts = [_facade(generator, width, height, storey, floors, wall.tint)]
    parts.append(box((width, depth, height + base), (0.5 * width, 0.5 * depth + 0.35, 0.5 * (height - base)), wall))
    if generator.random() < 0.6:
        parts += _gable_roof(generator, width, depth, height)
    if generator.random() < 0.35:
        parts += _balconies(generator, width, storey, floors, wall)
    if generator.random() < 0.4:
        parts.append(box((width, 0.25, 0.3), (0.5 * width, -0.1, storey), wall))
    if generator.random() < 0.25:
        parts.append(box((min(1.8, width), 1.1, 0.15), (0.5 * width, -0.5, 2.5), wall))
    return merge(parts)


def _window_edges(generator: np.random.Generator, width: float) -> tuple[np.ndarray, np.ndarray]:
    """Edges along the front, and which of the strips between them hold windows."""
    pitch = generator.uniform(1.8, 3.6)
    opening = generator.uniform(0.35, 0.6) * pitch
    count = max(1, int(width / pitch))
    starts = (np.arange(count) + 0.5) * (width / count) - 0.5 * opening
    edges = np.unique(np.concatenate([[0.0, width], starts, starts + opening]))
    return edges, np.arange(len(edges) - 1) % 2 == 1


def _facade(
    generator: np.random.Generator, width: float, height: float, storey: float, floors: int, tint: float
) -> Mesh:
    along, windowed = _window_edges(generator, width)
    sill, lintel = generator.uniform(0.7, 1.0), generator.uniform(2.1, 2.5)
    upward = np.concatenate(
        [[-0.8, 0.05], *[(floor * storey + sill, floor * storey + lintel) for floor in range(floors)]]
    )
    upward = np.append(upward, max(height, upward[-1] + 0.2))
    shape = (len(along) - 1, len(upward) - 1)
    recess = np.zeros(shape)
    materials = np.full(shape, Material.STONE, np.uint8)
    glazed = np.outer(windowed, (np.arange(shape[1]) % 2 == 0) & (np.arange(shape[1]) > 0))
    glazed &= generator.random(shape) < 0.95
    recess[glazed] = generator.uniform(0.08, 0.25)
    materials[glazed & (generator.random(shape) < 0.8)] = Material.GLASS  # the others have blinds or shutters
    doors = np.flatnonzero(windowed)
    door = int(generator.choice(doors))
    recess[door, 1:3] = 0.3
    materials[door, 1:3] = Material.WOOD
    front = relief(along, upward, -recess, np.full(shape, _BUILDING, np.uint8), materials, tint)
    # relief heights rise along +h; the front looks towards -y
    axes = np.eye(4)
    axes[:3, :3] = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
    return front.moved(axes)


def _gable_roof(generator: np.random.Generator, width: float, depth: float, height: float) -> list[Mesh]:
    rise, overhang = generator.uniform(1.5, 4.0), generator.uniform(0.2, 0.6)
    paint = Paint(_BUILDING, Material.STONE, float(generator.uniform(0.4, 0.9)))
    front, back, ridge = -overhang, depth + 0.35 + overhang, 0.5 * depth
    corners = [
        [(0, front, height), (width, front, height), (width, ridge, height + rise), (0, ridge, height + rise)],
        [(0, back, height), (width, back, height), (width, ridge, height + rise), (0, ridge, height + rise)],
        *[
            [(x, front, height), (x, back, height), (x, ridge, height + rise), (x, ridge, height + rise)]
            for x in (0, width)
        ],
    ]
    return [panel(corners, paint)]


def _balconies(generator: np.random.Generator, width: float, storey: float, floors: int, wall: Paint) -> list[Mesh]:
    parts = []
    rail = Paint(_BUILDING, Material.METAL)
    length = min(generator.uniform(1.8, 3.5), width)
    for x in np.arange(0.5 * length, width - 0.5 * length + 0.01, length + generator.uniform(0.8, 3.0)):
        for floor in range(1, floors):
            parts.append(box((length, 1.1, 0.15), (x, -0.55, floor * storey + 0.1), wall))
            parts.append(box((length, 0.04, 0.9), (x, -1.08, floor * storey + 0.7), rail))
    return parts

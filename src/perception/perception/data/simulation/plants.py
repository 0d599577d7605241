"""Trees, bushes and hedges: trunks, and foliage of many small faces that lets some beams through."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from perception.data.simulation.materials import Material
from perception.data.simulation.mesh import Mesh, Paint, merge
from perception.data.simulation.models import CLASS_ID
from perception.data.simulation.shapes import scattered_faces, tube


def leaves(generator: np.random.Generator) -> Paint:
    """Draw the paint of one plant's foliage."""
    return Paint(CLASS_ID["vegetation"], Material.LEAVES, float(generator.uniform(0.75, 1.25)))


def _blob(generator: np.random.Generator, radii: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Points in an ellipsoid, denser towards its skin, float64 [count, 3]."""
    direction = generator.normal(size=(count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    return direction * radii * generator.uniform(0.25, 1.0, (count, 1)) ** 0.5


def tree(generator: np.random.Generator, small: bool = False) -> Mesh:
    """Draw a tree: a trunk that forks, and a crown of several blobs; or a conifer."""
    height = generator.uniform(3.0, 5.0) if small else generator.uniform(5.5, 12.0)
    if generator.random() < 0.15:
        return _conifer(generator, height)
    clear = generator.uniform(1.0, 2.0) if small else generator.uniform(1.4, 3.4)
    radius = generator.uniform(0.06, 0.10) if small else generator.uniform(0.11, 0.32)
    bark = Paint(CLASS_ID["trunk"], Material.BARK, float(generator.uniform(0.7, 1.3)))
    lean = generator.normal(0.0, 0.04, 2) * clear
    fork = np.array([lean[0], lean[1], clear + 0.15 * (height - clear)])
    parts = [tube((0, 0, -0.1), (0, 0, 0.3), 1.35 * radius, bark, sides=8, end_radius=radius)]
    parts.append(tube((0, 0, 0.3), fork, radius, bark, sides=8, end_radius=0.8 * radius))
    crown_radius = generator.uniform(0.22, 0.36) * height
    foliage = leaves(generator)
    for _ in range(int(generator.integers(4, 8))):
        spread = generator.normal(0.0, 0.42, 2) * crown_radius
        middle = np.array(
            [*(fork[:2] + spread), generator.uniform(clear + 0.25 * crown_radius, height - 0.4 * crown_radius)]
        )
        parts.append(tube(fork, middle, 0.4 * radius, bark, sides=5, end_radius=0.15 * radius))
        radii = crown_radius * generator.uniform(0.35, 0.65, 3) * np.array([1.0, 1.0, 0.8])
        count = int(np.clip(130 * radii.prod() ** (2 / 3), 50, 260))
        centers = _blob(generator, radii, count) + middle
        parts.append(scattered_faces(generator, centers, generator.uniform(0.09, 0.22, count), foliage))
    return merge(parts)


def _conifer(generator: np.random.Generator, height: float) -> Mesh:
    bark = Paint(CLASS_ID["trunk"], Material.BARK, 0.9)
    radius = 0.016 * height + 0.05
    low = generator.uniform(0.5, 1.6)
    count = int(90 * height)
    level = 1.0 - np.sqrt(generator.random(count))
    angle = generator.uniform(0, 2 * np.pi, count)
    reach = (1.0 - level) * generator.uniform(0.16, 0.24) * height * generator.uniform(0.4, 1.0, count) ** 0.5
    centers = np.stack([reach * np.cos(angle), reach * np.sin(angle), low + level * (height - low)], axis=1)
    foliage = scattered_faces(generator, centers, 0.15, leaves(generator))
    return merge([tube((0, 0, -0.1), (0, 0, 0.8 * height), radius, bark, sides=7, end_radius=0.03), foliage])


def bush(generator: np.random.Generator) -> Mesh:
    """Draw a bush of one to three blobs."""
    foliage = leaves(generator)
    parts = []
    for _ in range(int(generator.integers(1, 4))):
        radii = generator.uniform(0.35, 1.1, 3) * np.array([1.0, 1.0, 0.85])
        middle = np.array([*generator.normal(0.0, 0.5, 2), 0.75 * radii[2]])
        count = int(np.clip(260 * radii.prod() ** (2 / 3), 60, 300))
        centers = _blob(generator, radii, count) + middle
        parts.append(scattered_faces(generator, centers, 0.10, foliage))
    return merge(parts)


def hedge(generator: np.random.Generator, length: float, height: float, width: float) -> Mesh:
    """Draw a cut hedge along x from 0 to `length`, centred on y = 0: faces about its skin and some inside."""
    count = int(length * (2 * height + width) * 42)
    points = generator.random((count, 3)) * np.array([length, width, height]) - np.array([0.0, 0.5 * width, 0.0])
    skin = generator.random(count)
    points[skin < 0.7, 1] = np.sign(points[skin < 0.7, 1]) * 0.5 * width
    points[(skin > 0.7) & (skin < 0.88), 2] = height
    points += generator.normal(0.0, 0.05, points.shape) + 0.05 * np.sin(points[:, :1] * 2.1)
    return scattered_faces(generator, points, generator.uniform(0.07, 0.11, count), leaves(generator))


def tall_grass(generator: np.random.Generator, length: float, width: float) -> Mesh:
    """Draw unkempt plants about half a metre high over an area from (0, 0)."""
    count = int(length * width * 7)
    clumps = generator.uniform(0.1, 0.6, count)
    centers = generator.random((count, 3)) * np.array([length, width, 0.0])
    centers[:, 2] = clumps * generator.random(count)
    return scattered_faces(generator, centers, 0.10, leaves(generator))

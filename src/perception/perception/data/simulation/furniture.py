"""What stands along a street: lamps, posts, traffic signs, bins and fences."""

from __future__ import annotations

import numpy as np

from perception.classes import IGNORED
from perception.data.simulation.materials import Material
from perception.data.simulation.mesh import Mesh, Paint, merge, painted
from perception.data.simulation.models import CLASS_ID
from perception.data.simulation.shapes import box, panel, tube

_POLE = CLASS_ID["pole"]


def _pole_paint(generator: np.random.Generator) -> Paint:
    return Paint(_POLE, Material.METAL, float(generator.uniform(0.7, 1.6)))


def lamp(generator: np.random.Generator) -> Mesh:
    """Draw a street lamp whose arm reaches towards +y, or a lamp on top of its pole."""
    paint = _pole_paint(generator)
    height, radius = generator.uniform(4.0, 8.5), generator.uniform(0.06, 0.13)
    parts = [tube((0, 0, -0.1), (0, 0, 1.2), 1.4 * radius, paint, sides=9)]
    parts.append(tube((0, 0, 1.2), (0, 0, height), radius, paint, sides=8, end_radius=0.6 * radius))
    reach = generator.uniform(0.8, 2.2) if generator.random() < 0.65 else 0.0
    if reach:
        parts.append(tube((0, 0, height), (0, reach, height + 0.25), 0.05, paint, sides=6))
    parts.append(box((0.3, 0.7 if reach else 0.35, 0.18), (0, reach, height + 0.25), paint))
    return merge(parts)


def post(generator: np.random.Generator) -> Mesh:
    """Draw a thick post: a utility pole of wood, or a traffic light's mast."""
    wooden = generator.random() < 0.5
    paint = Paint(_POLE, Material.WOOD if wooden else Material.METAL, float(generator.uniform(0.7, 1.3)))
    height = generator.uniform(6.0, 9.0) if wooden else generator.uniform(2.8, 3.6)
    parts = [tube((0, 0, -0.1), (0, 0, height), generator.uniform(0.09, 0.16), paint, sides=9)]
    if wooden:
        parts.append(box((0.12, 1.8, 0.12), (0, 0, height - 0.5), paint))
    else:
        parts.append(box((0.25, 0.3, 0.9), (-0.15, 0, height - 0.5), paint))
    return merge(parts)


def traffic_sign(generator: np.random.Generator) -> Mesh:
    """Draw a sign that faces -x on its pole: disc, octagon, triangle or plate, sometimes two of them."""
    metal = _pole_paint(generator)
    low = generator.uniform(1.5, 2.3) if generator.random() < 0.75 else generator.uniform(0.4, 1.2)
    height = low + generator.uniform(0.7, 1.0)
    parts = [tube((0.04, 0, -0.1), (0.04, 0, height), generator.uniform(0.035, 0.05), metal, sides=7)]
    parts.append(_plate(generator, low + 0.42))
    if low > 1.4 and generator.random() < 0.5:
        parts.append(_plate(generator, low - 0.28, small=True))
    return merge(parts)


def _plate(generator: np.random.Generator, middle: float, small: bool = False) -> Mesh:
    """A plate with a bright front towards -x and a grey back."""
    front = Paint(CLASS_ID["traffic-sign"], Material.SIGN, float(generator.uniform(0.75, 1.2)))
    back = Paint(CLASS_ID["traffic-sign"], Material.METAL, 1.1)
    radius = 0.24 if small else generator.uniform(0.35, 0.55)
    corners = int(generator.choice([4, 3, 8, 16], p=[0.4, 0.2, 0.15, 0.25])) if not small else 4
    angles = np.arange(corners) * (2 * np.pi / corners) + (np.pi / 4 if corners == 4 else np.pi / 2)
    stretch = generator.uniform(0.8, 1.6) if corners == 4 else 1.0
    outline = np.stack([np.zeros(corners), stretch * radius * np.cos(angles), radius * np.sin(angles)], axis=1)
    fan = np.stack([np.zeros(corners - 2, int), np.arange(1, corners - 1), np.arange(2, corners)], axis=1)
    lift = np.array([0.0, 0.0, middle])
    faces = [painted(outline + lift + np.array([x, 0, 0]), fan, paint) for x, paint in ((-0.02, front), (0.0, back))]
    return merge(faces)


def litter_bin(generator: np.random.Generator) -> Mesh:
    """Draw a bin, a box or a bollard; SemanticKITTI leaves such objects out of its 19 classes."""
    paint = Paint(IGNORED, Material.METAL, float(generator.uniform(0.4, 1.4)))
    if generator.random() < 0.5:
        return tube((0, 0, 0), (0, 0, generator.uniform(0.7, 1.1)), generator.uniform(0.15, 0.3), paint, sides=9)
    size = generator.uniform((0.3, 0.4, 0.6), (0.8, 1.2, 1.3))
    return box(size, (0, 0, 0.5 * size[2]), paint)


def fence(generator: np.random.Generator, length: float) -> Mesh:
    """Draw a fence or a low wall along x from 0 to `length`: pickets, rails, boards, or masonry."""
    height = generator.uniform(0.8, 1.9)
    kind = generator.choice(["pickets", "rails", "boards", "wall"], p=[0.35, 0.2, 0.25, 0.2])
    class_id = CLASS_ID["fence"]
    tint = float(generator.uniform(0.6, 1.3))
    material = Material.STONE if kind == "wall" else generator.choice([Material.WOOD, Material.METAL])
    paint = Paint(class_id, Material(material), tint)
    if kind == "wall":
        thickness = generator.uniform(0.2, 0.35)
        coping = box((length, thickness + 0.1, 0.08), (0.5 * length, 0, height), paint)
        return merge([box((length, thickness, height + 0.4), (0.5 * length, 0, 0.5 * height - 0.2), paint), coping])
    posts = np.arange(0.0, length, 2.2)
    parts = [box((0.1, 0.1, height + 0.3), (x, 0, 0.5 * height - 0.1), paint) for x in posts]
    rails = np.linspace(0.25, height - 0.1, 4 if kind == "rails" else 2)
    parts += [box((length, 0.05, 0.09), (0.5 * length, 0.04, z), paint) for z in rails]
    if kind != "rails":
        pitch, width = (0.16, 0.08) if kind == "pickets" else (0.20, 0.19)
        parts.append(_slats(np.arange(0.05, length - width, pitch), width, height, paint))
    return merge(parts)


def _slats(starts: np.ndarray, width: float, height: float, paint: Paint) -> Mesh:
    left, right = starts, starts + width
    zero, low, high = np.zeros_like(left), np.full_like(left, 0.05), np.full_like(left, height)
    corners = [(left, zero, low), (right, zero, low), (right, zero, high), (left, zero, high)]
    return panel(np.stack([np.stack(corner, axis=1) for corner in corners], axis=1), paint)

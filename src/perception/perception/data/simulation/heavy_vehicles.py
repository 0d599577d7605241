"""Trucks and buses, drawn at random."""

from __future__ import annotations

import numpy as np

from perception.data.simulation.cars import wheels
from perception.data.simulation.materials import Material
from perception.data.simulation.mesh import Mesh, Paint
from perception.data.simulation.models import CLASS_ID, ObjectModel, object_model
from perception.data.simulation.shapes import box, profile_body, tube

TRUCK_KINDS: tuple[str, ...] = ("box", "flatbed", "tank", "tipper", "pickup")


def truck(generator: np.random.Generator, kind: str | None = None) -> ObjectModel:
    """Draw a truck: a cab of its own, a gap, and a box, a tank, a flatbed, a tipper or a pickup's bed behind it."""
    kind = str(generator.choice(TRUCK_KINDS, p=[0.4, 0.18, 0.12, 0.15, 0.15])) if kind is None else kind
    if kind == "pickup":
        return _pickup(generator)
    class_id = CLASS_ID["truck"]
    paint = Paint(class_id, Material.CAR_PAINT, float(generator.uniform(0.3, 1.4)))
    length, width = generator.uniform(5.6, 10.5), generator.uniform(2.15, 2.55)
    cab_length, cab_height, deck = (
        generator.uniform(1.7, 2.2),
        generator.uniform(2.3, 3.1),
        generator.uniform(0.85, 1.15),
    )
    front = 0.5 * length
    parts = _cab(front, cab_length, width, cab_height, paint)
    parts.append(box((length - 0.3, 0.85, 0.25), (-0.1, 0.0, deck - 0.15), Paint(class_id, Material.METAL, 0.6)))
    parts += _load(generator, kind, -front, front - cab_length - generator.uniform(0.15, 0.5), width, deck, class_id)
    axles: tuple[float, ...] = (front - 0.9, -front + 1.5)
    axles += (-front + 2.7,) if length > 8.0 else ()
    parts += wheels(axles, width, generator.uniform(0.42, 0.5), class_id)
    parts.append(box((0.05, width * 0.9, 0.14), (-front, 0.0, 0.75), Paint(class_id, Material.SIGN, 0.8)))
    return object_model([parts], "truck")


def _cab(front: float, length: float, width: float, height: float, paint: Paint) -> list[Mesh]:
    rear = front - length
    outline = [(front, 0.45), (front + 0.03, 1.25), (front - 0.30, height - 0.1), (front - 0.5, height)]
    outline += [(rear, height), (rear, 0.55)]
    body = profile_body(
        outline, [0.5 * width, 0.5 * width, 0.46 * width, 0.43 * width, 0.45 * width, 0.5 * width], paint
    )
    glass = Paint(paint.class_id, Material.GLASS)
    slope = 0.33 * (height - 1.35) / (height - 0.1 - 1.25)
    screen_outline = [(front + 0.05, 1.35), (front + 0.05 - slope, height - 0.25), (front - 0.6, height - 0.4)]
    screen_outline.append((front - 0.6, 1.4))
    screen = profile_body(screen_outline, 0.43 * width, glass)
    windows = [box((0.8, 0.03, 0.6), (front - 0.75, side * 0.49 * width, 1.75), glass) for side in (-1, 1)]
    mirrors = [box((0.12, 0.22, 0.45), (front - 0.1, side * (0.5 * width + 0.16), 1.9), paint) for side in (-1, 1)]
    return [body, screen, *windows, *mirrors]


def _load(
    generator: np.random.Generator, kind: str, rear: float, front: float, width: float, deck: float, class_id: int
) -> list[Mesh]:
    length, middle = front - rear, 0.5 * (front + rear)
    skin = Paint(class_id, Material.CAR_PAINT if kind == "box" else Material.METAL, float(generator.uniform(0.5, 1.5)))
    if kind == "box":
        height = generator.uniform(1.7, 2.6)
        rim = Paint(class_id, Material.METAL, 0.7)
        door = [box((0.04, 0.05, height), (rear - 0.01, y, deck + 0.5 * height), rim) for y in (-0.02, 0.02)]
        return [box((length, width, height), (middle, 0.0, deck + 0.5 * height), skin), *door]
    if kind == "tank":
        radius = 0.47 * width
        return [tube((rear + 0.1, 0, deck + radius), (front, 0, deck + radius), radius, skin, sides=14)]
    walls = generator.uniform(0.35, 0.6) if kind == "flatbed" else generator.uniform(0.7, 1.2)
    parts = [box((length, width, 0.15), (middle, 0.0, deck), skin)]
    parts += [box((length, 0.08, walls), (middle, s * 0.48 * width, deck + 0.5 * walls), skin) for s in (-1, 1)]
    parts += [box((0.08, width, walls), (x, 0.0, deck + 0.5 * walls), skin) for x in (rear + 0.04, front - 0.04)]
    if generator.random() < 0.6:
        cargo = generator.uniform(0.3, 0.9, 3) * np.array([length, width, 1.4])
        parts.append(box(cargo, (middle, 0.0, deck + 0.5 * cargo[2]), Paint(class_id, Material.WOOD)))
    return parts


def _pickup(generator: np.random.Generator) -> ObjectModel:
    class_id = CLASS_ID["truck"]
    paint = Paint(class_id, Material.CAR_PAINT, float(generator.uniform(0.2, 1.4)))
    length, width, height = generator.uniform(4.9, 5.6), generator.uniform(1.85, 2.0), generator.uniform(1.75, 1.95)
    front, rear = 0.5 * length, -0.5 * length
    nose = [(front, 0.4), (front, 0.85), (front - 0.2, 1.05), (front - 1.3, 1.12), (-0.6, 1.12), (-0.6, 0.4)]
    cabin = [(front - 1.3, 1.1), (front - 1.95, height), (-0.5, height), (-0.6, 1.1)]
    parts = [profile_body(nose, 0.5 * width, paint)]
    parts.append(
        profile_body(cabin, [0.46 * width, 0.4 * width, 0.4 * width, 0.46 * width], Paint(class_id, Material.GLASS))
    )
    parts.append(box((front - 2.2 + 0.5, 0.76 * width, 0.06), (0.5 * (front - 2.0 - 0.5), 0.0, height), paint))
    bed = -0.6 - rear
    parts.append(box((bed, width, 0.12), (rear + 0.5 * bed, 0.0, 0.65), paint))
    parts += [box((bed, 0.10, 0.6), (rear + 0.5 * bed, s * (0.5 * width - 0.05), 0.85), paint) for s in (-1, 1)]
    parts.append(box((0.08, width, 0.6), (rear + 0.04, 0.0, 0.85), paint))
    parts += wheels((front - 0.95, rear + 1.15), width, 0.39, class_id)
    parts.append(box((0.03, 0.5, 0.12), (rear - 0.01, 0.0, 0.7), Paint(class_id, Material.SIGN, 0.9)))
    return object_model([parts], "truck")


def bus(generator: np.random.Generator) -> ObjectModel:
    """Draw a bus: rounded ends, a band of windows, doors, and sometimes an upper deck."""
    class_id = CLASS_ID["other-vehicle"]
    paint = Paint(class_id, Material.CAR_PAINT, float(generator.uniform(0.4, 1.4)))
    glass = Paint(class_id, Material.GLASS)
    length, width = generator.uniform(8.5, 12.5), generator.uniform(2.4, 2.6)
    height = generator.choice([generator.uniform(2.8, 3.3), 4.1], p=[0.85, 0.15])
    half, front = 0.5 * width, 0.5 * length
    outline = [(front - 0.05, 0.32), (front, 1.1), (front - 0.22, height - 0.15), (front - 0.5, height)]
    outline += [(-front + 0.3, height), (-front, height - 0.2), (-front + 0.02, 0.35)]
    parts = [
        profile_body(
            outline, [0.94 * half, 0.96 * half, 0.9 * half, 0.88 * half, 0.88 * half, 0.92 * half, half], paint
        )
    ]
    parts.append(box((length - 1.0, width, height - 1.0), (0.0, 0.0, 0.38 + 0.5 * (height - 1.0)), paint))
    for window_low in (1.15,) if height < 3.6 else (1.05, 2.75):
        parts += [
            box((1.25, 0.02, 0.95), (x, side * (half + 0.005), window_low + 0.5), glass)
            for side in (-1, 1)
            for x in np.arange(-front + 1.3, front - 1.2, 1.5)
        ]
    parts.append(box((0.05, 0.85 * width, 1.2), (front - 0.08, 0.0, 1.85), glass))
    parts.append(box((0.6, 0.7 * width, 0.25), (front - 0.6, 0.0, height - 0.06), Paint(class_id, Material.METAL)))
    parts += wheels((front - 2.4, -front + 2.6), width, 0.48, class_id)
    parts.append(box((0.05, 0.5, 0.12), (-front, 0.0, 0.7), Paint(class_id, Material.SIGN, 0.9)))
    parts += [box((0.2, 0.12, 0.35), (front - 0.1, s * (half + 0.18), 2.2), paint) for s in (-1, 1)]
    return object_model([parts], "bus")

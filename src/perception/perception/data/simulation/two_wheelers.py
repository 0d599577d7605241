"""Bicycles and motorcycles without riders, drawn at random."""

from __future__ import annotations

import numpy as np

from perception.data.simulation.materials import Material
from perception.data.simulation.mesh import Mesh, Paint
from perception.data.simulation.models import CLASS_ID, ObjectModel, object_model
from perception.data.simulation.shapes import box, ellipsoid, profile_body, tube, wheel_ring

#: Ends of the tubes of a bicycle's frame in the xz plane, metres.
_FRAME_TUBES: tuple[tuple[tuple[float, float], tuple[float, float]], ...] = (
    ((0.02, 0.30), (-0.20, 0.90)),  # seat tube
    ((0.02, 0.30), (0.36, 0.82)),  # down tube
    ((-0.15, 0.78), (0.34, 0.86)),  # top tube
    ((-0.52, 0.34), (0.02, 0.30)),  # chain stay
    ((-0.52, 0.34), (-0.15, 0.78)),  # seat stay
    ((0.54, 0.34), (0.36, 0.98)),  # fork and stem
)


def bicycle_parts(generator: np.random.Generator, class_id: int, scale: float = 1.0) -> list[Mesh]:
    """Wheels, frame, saddle, handlebar, and sometimes mudguards and a basket.

    Tubes are thicker than in life (5 cm): a laser's beam is that wide itself and sees a thin tube in passing.
    """
    frame = Paint(class_id, Material.METAL, float(generator.uniform(0.5, 1.4)))
    tyre = Paint(class_id, Material.RUBBER, 2.5)
    radius = 0.34 * scale
    parts = [wheel_ring((x * scale, 0.0, radius), radius, tyre) for x in (-0.52, 0.54)]
    for start, end in _FRAME_TUBES:
        low, high = (np.array([point[0], 0.0, point[1]]) * scale for point in (start, end))
        parts.append(tube(low, high, 0.026, frame, sides=5))
    width = generator.uniform(0.24, 0.30)
    bar = np.array([0.38, 0.0, 1.0]) * scale
    reach = np.array([0.0, width, 0.0])
    parts.append(tube(bar - reach, bar + reach, 0.022, frame, sides=5))
    parts.append(box((0.26, 0.15, 0.07), np.array([-0.22, 0.0, 0.93]) * scale, tyre))
    parts += [box((0.05, 0.02, 2 * radius - 0.1), (x * scale, 0.0, radius), frame) for x in (-0.52, 0.54)]
    parts += [box((2 * radius - 0.1, 0.02, 0.05), (x * scale, 0.0, radius), frame) for x in (-0.52, 0.54)]
    if generator.random() < 0.4:
        parts.append(box((0.36, 0.16, 0.03), np.array([-0.55, 0.0, 0.74]) * scale, frame))
    if generator.random() < 0.3:
        parts.append(box((0.28, 0.34, 0.24), np.array([0.58, 0.0, 0.90]) * scale, frame))
    return parts


def bicycle(generator: np.random.Generator) -> ObjectModel:
    """Draw a parked bicycle."""
    return object_model([bicycle_parts(generator, CLASS_ID["bicycle"], generator.uniform(0.9, 1.08))], "bicycle")


def motorcycle(generator: np.random.Generator) -> ObjectModel:
    """Draw a parked motorcycle or scooter."""
    class_id = CLASS_ID["motorcycle"]
    scooter = generator.random() < 0.4
    paint = Paint(class_id, Material.CAR_PAINT, float(generator.uniform(0.4, 1.4)))
    dark, metal = Paint(class_id, Material.RUBBER, 2.0), Paint(class_id, Material.METAL)
    radius = 0.24 if scooter else generator.uniform(0.29, 0.33)
    base = generator.uniform(0.60, 0.66) if scooter else generator.uniform(0.70, 0.80)
    parts = [tube((x, -0.07, radius), (x, 0.07, radius), radius, dark, sides=12) for x in (-base, base)]
    seat = generator.uniform(0.74, 0.84)
    parts.append(tube((base, 0.0, radius), (base - 0.28, 0.0, 0.98), 0.06, metal, sides=6))
    parts.append(tube((base - 0.28, -0.36, 1.02), (base - 0.28, 0.36, 1.02), 0.03, metal, sides=5))
    parts.append(box((0.75, 0.26, 0.12), (-0.32, 0.0, seat), dark))
    parts += _scooter_body(base, seat, paint) if scooter else _motorcycle_body(base, seat, paint, metal)
    parts.append(ellipsoid((base - 0.16, 0.0, 0.86), (0.12, 0.12, 0.12), paint, rings=4, sides=7))
    parts.append(box((0.02, 0.20, 0.16), (-base - 0.18, 0.0, 0.58), Paint(class_id, Material.SIGN, 0.9)))
    return object_model([parts], "motorcycle")


def _motorcycle_body(base: float, seat: float, paint: Paint, metal: Paint) -> list[Mesh]:
    tank = ellipsoid((0.18, 0.0, seat + 0.10), (0.30, 0.17, 0.15), paint)
    engine = box((0.50, 0.30, 0.38), (0.05, 0.0, 0.42), metal)
    tail = profile_body(
        [(-0.15, seat - 0.15), (-0.1, seat), (-base - 0.18, seat + 0.08), (-base - 0.1, seat - 0.05)], 0.11, paint
    )
    exhaust = tube((0.0, -0.17, 0.32), (-base - 0.05, -0.20, 0.42), 0.06, metal, sides=6)
    return [tank, engine, tail, exhaust]


def _scooter_body(base: float, seat: float, paint: Paint) -> list[Mesh]:
    rear = profile_body(
        [(-0.05, 0.28), (-0.02, seat - 0.05), (-base - 0.12, seat - 0.02), (-base - 0.1, 0.42)], 0.19, paint
    )
    floor = box((0.42, 0.34, 0.08), (0.12, 0.0, 0.28), paint)
    shield = profile_body([(0.30, 0.25), (base - 0.18, 0.95), (base - 0.12, 0.92), (0.40, 0.25)], 0.22, paint)
    return [rear, floor, shield]

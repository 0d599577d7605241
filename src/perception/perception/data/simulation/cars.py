"""Passenger cars: hatchbacks, saloons, estates, off-roaders and vans, drawn at random."""

from __future__ import annotations

import numpy as np

from perception.data.simulation.materials import Material
from perception.data.simulation.mesh import Mesh, Paint
from perception.data.simulation.models import CLASS_ID, ObjectModel, object_model
from perception.data.simulation.shapes import box, profile_body, tube

#: kind -> (length, width, height, shoulder height, bonnet share, windscreen share, rear window share, boot share).
#: Shares are of the length: how long the bonnet is, how far the windscreen leans, how far the rear window leans,
#: how long the boot is.
_KINDS: dict[str, tuple[float, ...]] = {
    "hatchback": (3.95, 1.72, 1.47, 0.92, 0.22, 0.17, 0.10, 0.02),
    "saloon": (4.60, 1.80, 1.45, 0.92, 0.25, 0.16, 0.14, 0.13),
    "estate": (4.65, 1.80, 1.48, 0.92, 0.25, 0.15, 0.07, 0.02),
    "off-roader": (4.55, 1.88, 1.70, 1.05, 0.23, 0.13, 0.08, 0.02),
    "van": (4.95, 1.95, 1.95, 1.10, 0.13, 0.14, 0.03, 0.01),
}
CAR_KINDS: tuple[str, ...] = tuple(_KINDS)


def car(generator: np.random.Generator, kind: str | None = None, class_name: str = "car") -> ObjectModel:
    """Draw a car: body with wheel arches, tapered cabin, wheels, lamps, plates and mirrors."""
    kind = str(generator.choice(CAR_KINDS)) if kind is None else kind
    length, width, height, shoulder, *shares = _KINDS[kind]
    scale = generator.uniform(0.94, 1.07, 3)
    length, width, height, shoulder = length * scale[0], width * scale[1], height * scale[2], shoulder * scale[2]
    class_id = CLASS_ID[class_name]
    paint = Paint(
        class_id, Material.CAR_PAINT, float(generator.choice([0.15, 0.4, 0.9, 1.3], p=[0.3, 0.2, 0.25, 0.25]))
    )
    wheel_radius = generator.uniform(0.29, 0.36)
    axles = (0.5 * length - 0.19 * length, -0.5 * length + 0.20 * length)
    parts = [
        _body(length, width, shoulder, wheel_radius, paint),
        *_cabin(length, width, height, shoulder, shares, paint),
    ]
    parts += wheels(axles, width, wheel_radius, class_id)
    parts += _details(length, width, shoulder, axles[0], class_id)
    return object_model([parts], "car")


def wheels(axles: tuple[float, ...], width: float, radius: float, class_id: int) -> list[Mesh]:
    """A wheel at both ends of each axle, flush with the body."""
    rubber = Paint(class_id, Material.RUBBER)
    hub = Paint(class_id, Material.METAL)
    parts = []
    for x in axles:
        for side in (-0.5, 0.5):
            outer, inner = side * width, side * (width - 0.45)
            parts.append(tube((x, inner, radius), (x, outer, radius), radius, rubber, sides=12))
            parts.append(tube((x, outer, radius), (x, outer * 1.004, radius), 0.62 * radius, hub, sides=8))
    return parts


def _body(length: float, width: float, shoulder: float, wheel_radius: float, paint: Paint) -> Mesh:
    front, rear, sill = 0.5 * length, -0.5 * length, 0.22
    outline: list[tuple[float, float]] = [(front - 0.02, sill + 0.10), (front, 0.50), (front - 0.08, shoulder - 0.20)]
    outline += [
        (front - 0.27 * length, shoulder),
        (rear + 0.10, shoulder),
        (rear, shoulder - 0.12),
        (rear, sill + 0.12),
    ]
    arch = wheel_radius + 0.05
    for axle in (rear + 0.20 * length, front - 0.19 * length):
        angles = np.linspace(np.pi, 0.0, 5)
        outline += [(axle + arch * np.cos(a), max(sill, wheel_radius + arch * np.sin(a))) for a in angles]
    half_widths = np.full(len(outline), 0.5 * width)
    half_widths[[0, 1, 2, 5, 6]] *= np.array([0.80, 0.84, 0.88, 0.90, 0.92])
    return profile_body(outline, half_widths, paint)


def _cabin(
    length: float, width: float, height: float, shoulder: float, shares: list[float], paint: Paint
) -> list[Mesh]:
    """Glass house with a painted roof: the sides lean inwards."""
    bonnet, windscreen, rear_window, boot = (share * length for share in shares)
    front, rear = 0.5 * length - bonnet, -0.5 * length + boot
    roof_front, roof_rear = front - windscreen, rear + rear_window
    low, high = 0.5 * width - 0.06, 0.5 * width - 0.20
    glass = Paint(paint.class_id, Material.GLASS)
    outline = [
        (front, shoulder - 0.03),
        (roof_front, height - 0.06),
        (roof_rear, height - 0.06),
        (rear, shoulder - 0.03),
    ]
    house = profile_body(outline, [low, high, high, low], glass)
    roof_outline = [(roof_front + 0.08, height - 0.08), (roof_front - 0.25, height), (roof_rear + 0.25, height)]
    roof_outline.append((roof_rear - 0.05, height - 0.08))
    roof = profile_body(roof_outline, [high + 0.02, high - 0.06, high - 0.06, high + 0.02], paint)
    pillars = []
    for side in (-1.0, 1.0):
        for share in (0.0, 0.45, 1.0):
            foot = (front + share * (rear - front), side * (low + 0.01), shoulder - 0.03)
            head = (roof_front + share * (roof_rear - roof_front), side * (high + 0.01), height - 0.06)
            pillars.append(tube(foot, head, 0.05, paint, sides=4))
    return [house, roof, *pillars]


def _details(length: float, width: float, shoulder: float, front_axle: float, class_id: int) -> list[Mesh]:
    """Number plates and lamps, which shine brightly in a scan, and mirrors."""
    reflector = Paint(class_id, Material.SIGN, 0.9)
    lamp = Paint(class_id, Material.SIGN, 0.6)
    parts = [
        box((0.03, 0.5, 0.11), (side * 0.5 * length, 0.0, 0.48 if side > 0 else 0.62), reflector) for side in (-1, 1)
    ]
    for side in (-1.0, 1.0):
        lateral = side * 0.36 * width
        parts.append(box((0.06, 0.28, 0.12), (-0.5 * length, lateral, shoulder - 0.16), lamp))
        parts.append(box((0.10, 0.30, 0.12), (0.5 * length - 0.06, lateral, shoulder - 0.28), lamp))
        mirror = (front_axle - 0.17 * length, side * (0.5 * width + 0.07), shoulder + 0.06)
        parts.append(box((0.10, 0.16, 0.12), mirror, Paint(class_id, Material.CAR_PAINT)))
    return parts

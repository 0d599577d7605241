"""People: walking, standing, riding a bicycle, drawn at random."""

from __future__ import annotations

import numpy as np

from perception.data.simulation.materials import Material
from perception.data.simulation.mesh import Mesh, Paint
from perception.data.simulation.models import CLASS_ID, ObjectModel, object_model
from perception.data.simulation.shapes import box, ellipsoid, tube
from perception.data.simulation.two_wheelers import bicycle_parts

PHASES = 8


def person(generator: np.random.Generator, walking: bool = True) -> ObjectModel:
    """Draw a person; one who walks has eight phases of a stride, one who stands has one."""
    height = generator.uniform(1.05, 1.45) if generator.random() < 0.12 else generator.uniform(1.52, 1.95)
    girth = generator.uniform(0.85, 1.25)
    tints = generator.uniform(0.3, 1.5, 2)
    style = generator.random(3)
    swing = generator.uniform(0.4, 0.55) if walking else generator.uniform(0.0, 0.12)
    angles = np.arange(PHASES) * (2 * np.pi / PHASES) if walking else np.array([generator.uniform(0, 2 * np.pi)])
    phases = [_pedestrian(height, girth, tints, style, swing * np.sin(angle)) for angle in angles]
    return object_model(phases, "pedestrian", stride_m=0.82 * height)


def _pedestrian(height: float, girth: float, tints: np.ndarray, style: np.ndarray, swing: float) -> list[Mesh]:
    class_id = CLASS_ID["person"]
    coat, trousers = Paint(class_id, Material.CLOTH, float(tints[0])), Paint(class_id, Material.CLOTH, float(tints[1]))
    hip, shoulder = 0.50 * height, 0.82 * height
    parts = []
    for side in (-1.0, 1.0):
        parts += _leg(side, side * swing, hip, girth, trousers)
        parts.append(_arm(side, -side * 0.8 * swing, shoulder, height, girth, coat))
    parts += torso((0.0, 0.0, hip - 0.03 * height), (0.02, 0.0, shoulder + 0.02 * height), height, girth, coat)
    parts.append(head((0.03, 0.0, 0.925 * height), height, class_id))
    if style[0] < 0.25:
        parts.append(box((0.16, 0.30, 0.42), (-0.20 * girth, 0.0, 0.70 * height), Paint(class_id, Material.CLOTH, 0.8)))
    if style[1] < 0.2:
        parts.append(box((0.30, 0.10, 0.28), (0.05, 0.34 * girth, 0.33 * height), Paint(class_id, Material.CLOTH, 1.2)))
    if style[2] < 0.25:  # a long coat or a skirt
        skirt = tube((0, 0, 0.28 * height), (0, 0, 0.56 * height), 0.21 * girth, coat, sides=8, end_radius=0.15 * girth)
        parts.append(skirt)
    return parts


def _leg(side: float, angle: float, hip: float, girth: float, paint: Paint) -> list[Mesh]:
    """Thigh, shin and shoe; the knee bends where the leg is behind."""
    thigh, shin = 0.5 * hip, 0.46 * hip
    top = np.array([0.0, side * 0.09, hip])
    knee = top + thigh * np.array([np.sin(angle), 0.0, -np.cos(angle)])
    bend = angle - max(0.0, -angle) * 0.8
    ankle = knee + shin * np.array([np.sin(bend), 0.0, -np.cos(bend)])
    shoe = box((0.27, 0.10, 0.09), (ankle[0] + 0.07, ankle[1], ankle[2]), Paint(paint.class_id, Material.RUBBER, 2.0))
    return [
        tube(top, knee, 0.085 * girth, paint, sides=6, end_radius=0.065),
        tube(knee, ankle, 0.065, paint, sides=6, end_radius=0.045),
        shoe,
    ]


def _arm(side: float, angle: float, shoulder: float, height: float, girth: float, paint: Paint) -> Mesh:
    top = np.array([0.0, side * (0.19 * girth + 0.03), shoulder])
    hand = top + 0.37 * height * np.array([np.sin(angle + 0.1), side * 0.12, -np.cos(angle)])
    return tube(top, hand, 0.052 * girth, paint, sides=6, end_radius=0.04)


def torso(low: tuple, high: tuple, height: float, girth: float, paint: Paint) -> list[Mesh]:
    """Trunk of the body from the hips to the shoulders."""
    middle = 0.5 * (np.asarray(low) + np.asarray(high))
    upper = 0.72 * np.asarray(high) + 0.28 * np.asarray(low)
    long_half = 0.58 * float(np.linalg.norm(np.asarray(high) - np.asarray(low)))
    return [
        tube(low, high, 0.15 * girth, paint, sides=8, end_radius=0.12 * girth),
        ellipsoid(middle, (0.14 * girth, 0.18 * girth, long_half), paint),
        ellipsoid(upper, (0.13 * girth, 0.22 * girth, 0.11 * height), paint),
    ]


def head(center: tuple, height: float, class_id: int) -> Mesh:
    """Head and hair."""
    return ellipsoid(center, (0.105, 0.085, 0.075 * height), Paint(class_id, Material.SKIN), rings=5, sides=8)


def bicyclist(generator: np.random.Generator) -> ObjectModel:
    """Draw a bicycle with its rider, four phases of pedalling; all of it has the class bicyclist."""
    class_id = CLASS_ID["bicyclist"]
    height, girth = generator.uniform(1.5, 1.9), generator.uniform(0.85, 1.2)
    lean = generator.uniform(0.05, 0.45)
    tints = generator.uniform(0.3, 1.5, 2)
    frame_scale = height / 1.75
    bicycle = bicycle_parts(generator, class_id, scale=frame_scale)
    phases = [bicycle + _rider(height, girth, lean, tints, frame_scale, angle) for angle in np.arange(4) * (np.pi / 2)]
    return object_model(phases, "bicycle", stride_m=5.0)


def _rider(
    height: float, girth: float, lean: float, tints: np.ndarray, frame_scale: float, crank_angle: float
) -> list[Mesh]:
    class_id = CLASS_ID["bicyclist"]
    coat, trousers = Paint(class_id, Material.CLOTH, float(tints[0])), Paint(class_id, Material.CLOTH, float(tints[1]))
    seat = np.array([-0.22, 0.0, 0.98]) * frame_scale
    length = 0.34 * height
    shoulder = seat + length * np.array([np.sin(lean), 0.0, np.cos(lean)])
    grip = np.array([0.38, 0.0, 1.02]) * frame_scale
    parts = torso(tuple(seat), tuple(shoulder), height, girth, coat)
    parts.append(head(tuple(shoulder + np.array([0.10, 0.0, 0.13 * height])), height, class_id))
    for side in (-1.0, 1.0):
        parts.append(
            tube(
                shoulder + np.array([0, side * 0.18, -0.03]), grip + np.array([0, side * 0.25, 0]), 0.05, coat, sides=6
            )
        )
        angle = crank_angle + (np.pi if side > 0 else 0.0)
        pedal = np.array([0.02, side * 0.12, 0.30]) * frame_scale + 0.16 * np.array([np.cos(angle), 0, np.sin(angle)])
        hip = seat + np.array([0.0, side * 0.10, 0.0])
        knee = 0.5 * (hip + pedal) + np.array([0.20, side * 0.04, 0.09])
        parts.append(tube(hip, knee, 0.085 * girth, trousers, sides=6, end_radius=0.065))
        parts.append(tube(knee, pedal, 0.06, trousers, sides=6, end_radius=0.045))
        parts.append(box((0.26, 0.09, 0.08), pedal + np.array([0.04, 0, 0]), Paint(class_id, Material.RUBBER, 2.0)))
    return parts

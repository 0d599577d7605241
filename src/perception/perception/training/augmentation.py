"""Random changes that leave a cloud's labels true."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from perception.data.boxes import moved, turn
from perception.training.clouds import LabelledPoints
from perception.training.object_bank import ObjectBank
from perception.training.pasting import paste_into
from perception.training.settings import AugmentationSettings


def augment(
    points: NDArray[np.float32],
    class_ids: NDArray[np.uint8],
    settings: AugmentationSettings,
    rng: np.random.Generator,
    bank: ObjectBank | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Paste objects, drop, rotate about z, mirror, scale, jitter, and change the intensity of a cloud.

    Args:
        points: float32 [N, 4], x, y, z, intensity; not changed.
        class_ids: uint8 [N].
        settings: how much of each.
        rng: where chance comes from.
        bank: the objects to paste; none are pasted without one.

    Returns:
        the points and classes that are left, at least one if there was one.
    """
    cloud = augment_cloud(LabelledPoints(points, class_ids), settings, rng, bank)
    return cloud.points, cloud.class_ids


def augment_cloud(
    cloud: LabelledPoints, settings: AugmentationSettings, rng: np.random.Generator, bank: ObjectBank | None = None
) -> LabelledPoints:
    """Change a cloud and its boxes as `augment` does, and shift both."""
    if bank is not None and settings.paste:
        cloud = paste_into(cloud, bank, settings, rng)
    kept = rng.random(len(cloud.points)) >= rng.uniform(0, settings.drop)
    kept[:1] |= not kept.any()
    cloud = cloud.where(kept)
    points, matrix = cloud.points, _random_rotation(settings, rng)
    shift_m = rng.normal(0, settings.shift_m, 3) if settings.shift_m else np.zeros(3)
    points[:, :3] = points[:, :3] @ matrix.T + shift_m.astype(np.float32)
    if settings.jitter_m:
        points[:, :3] += rng.normal(0, settings.jitter_m, (len(points), 3)).astype(np.float32)
    gain = rng.uniform(1 - settings.intensity_scale, 1 + settings.intensity_scale)
    shift = rng.uniform(-settings.intensity_shift, settings.intensity_shift)
    points[:, 3] = np.clip(points[:, 3] * np.float32(gain) + np.float32(shift), 0, 1)
    return cloud if cloud.boxes is None else replace(cloud, boxes=moved(cloud.boxes, matrix, shift_m))


def _random_rotation(settings: AugmentationSettings, rng: np.random.Generator) -> NDArray[np.float32]:
    """A turn about z, perhaps mirrored in x, scaled by 1 - scale to 1 + scale: float32 [3, 3]."""
    angle = rng.uniform(-1, 1) * np.radians(settings.rotation_deg)
    mirror = np.diag([rng.choice([-1.0, 1.0]), 1.0, 1.0])
    scale = rng.uniform(1 - settings.scale, 1 + settings.scale)
    return (turn(angle) @ mirror * scale).astype(np.float32)

"""Random changes that leave a cloud's labels true."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from perception.training.object_bank import ObjectBank
from perception.training.pasting import paste_objects
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
    if bank is not None and settings.paste:
        points, class_ids = paste_objects(points, class_ids, bank, settings, rng)
    kept = rng.random(len(points)) >= rng.uniform(0, settings.drop)
    kept[:1] |= not kept.any()
    points, class_ids = points[kept], class_ids[kept]
    points[:, :3] = points[:, :3] @ _random_rotation(settings.scale, rng).T
    if settings.jitter_m:
        points[:, :3] += rng.normal(0, settings.jitter_m, (len(points), 3)).astype(np.float32)
    gain = rng.uniform(1 - settings.intensity_scale, 1 + settings.intensity_scale)
    shift = rng.uniform(-settings.intensity_shift, settings.intensity_shift)
    points[:, 3] = np.clip(points[:, 3] * np.float32(gain) + np.float32(shift), 0, 1)
    return points, class_ids


def _random_rotation(scale: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """A rotation about z by any angle, perhaps mirrored in x, scaled by 1 - scale to 1 + scale: float32 [3, 3]."""
    angle = rng.uniform(0, 2 * np.pi)
    cos, sin = np.cos(angle), np.sin(angle)
    mirror = rng.choice([-1.0, 1.0])
    rotation = np.array([[cos * mirror, -sin, 0], [sin * mirror, cos, 0], [0, 0, 1]])
    return (rotation * rng.uniform(1 - scale, 1 + scale)).astype(np.float32)

"""Boxes for the tests of what is done with them."""

import numpy as np

SEEN_FROM_ABOVE = [0, 1, 3, 4, 6]


def draw_boxes(seed: int, count: int, spread_m: float = 12.0) -> np.ndarray:
    """Boxes of all sizes and directions, crowded enough that many overlap."""
    rng = np.random.default_rng(seed)
    centers = rng.uniform(-spread_m, spread_m, (count, 3)) * (1, 1, 0.1)
    sizes = rng.uniform(0.3, 6, (count, 3))
    return np.concatenate([centers, sizes, rng.uniform(-7, 7, (count, 1))], 1).astype(np.float32)


def draw_proposals(seed: int, count: int, classes: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes, scores and labels of a detector: several proposals around every object."""
    rng = np.random.default_rng(seed)
    objects = draw_boxes(seed, max(count // 8, 1), 25)
    which = rng.integers(0, len(objects), count)
    boxes = objects[which] + rng.normal(0, (0.3, 0.3, 0.1, 0.1, 0.1, 0.1, 0.1), (count, 7)).astype(np.float32)
    scores = rng.uniform(0, 1, count).astype(np.float32)
    return boxes.astype(np.float32), scores, (which % classes).astype(np.int32)


def box(x=0.0, y=0.0, z=0.0, length=4.0, width=2.0, height=1.5, yaw=0.0) -> list[float]:
    """One box, a car's unless said otherwise."""
    return [x, y, z, length, width, height, yaw]


def house_boxes(official: np.ndarray) -> np.ndarray:
    """Boxes x, y, size along x, size along y, yaw clockwise, as boxes of 7 columns."""
    boxes = np.ones((len(official), 7), np.float32)
    boxes[:, SEEN_FROM_ABOVE] = official
    boxes[:, 6] *= -1
    return boxes

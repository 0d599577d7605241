"""LiDAR points as sparse depth images of the cameras, natively."""

from __future__ import annotations

from typing import Any

import numpy as np

from perception.ops import binding
from perception.ops.arrays import Array, as_array, empty

binding.declare(pk_depth_images="plippiiip")


def depth_images(
    points: Any, image_from_lidar: Any, augmentation: Any, image_size: tuple[int, int], threads: int | None = None
) -> Array:
    """Draw a cloud's depths into the cameras' images: float32 [cameras, height, width] in metres, 0 where none.

    Args:
        points: float32 [N, 3+], x, y, z first, metres in the LiDAR frame.
        image_from_lidar: float32 [cameras, 4, 4], to the original images (u * depth, v * depth, depth).
        augmentation: float32 [cameras, 4, 4], from original to resized and cropped pixels; None for none.
        image_size: height and width of the results.
        threads: CPU threads, all by default.

    A pixel is (v, u) truncated; of points that share one the last wins, on a GPU too. Depths are clamped to
    1e-5..1e5 m. As in BEVFusion's BaseDepthTransform.
    """
    points = as_array(points, np.float32, (None, None), "points")
    image_from_lidar = as_array(image_from_lidar, np.float32, (None, 4, 4), "image_from_lidar")
    cameras = len(image_from_lidar)
    if augmentation is not None:
        augmentation = as_array(augmentation, np.float32, (cameras, 4, 4), "augmentation")
    depth = empty(points, (cameras, *image_size), np.float32)
    arguments = (points, *points.shape, image_from_lidar, augmentation, cameras, *image_size, depth)
    binding.call("pk_depth_images", *arguments, threads=threads)
    return depth

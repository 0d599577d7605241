import numpy as np
import pytest
import torch

from perception import ops
from perception.ops import reference_bev as reference

SIZE = (48, 64)


def cameras(count):
    """Cameras that look along +x, each turned a little further: float32 [cameras, 4, 4]."""
    matrices = []
    for i in range(count):
        angle = 0.7 * i
        forward, left = np.array([np.cos(angle), np.sin(angle), 0]), np.array([-np.sin(angle), np.cos(angle), 0])
        rotation = np.stack([-left, [0, 0, -1], forward])
        matrix = np.eye(4)
        matrix[:3, :3] = np.array([[60, 0, 40], [0, 60, 30], [0, 0, 1]]) @ rotation
        matrix[:3, 3] = [0.3, -0.2, 0.1]
        matrices.append(matrix)
    return np.array(matrices, np.float32).reshape(count, 4, 4)


def augmentations(count):
    matrices = np.tile(np.eye(4, dtype=np.float32), (count, 1, 1))
    matrices[:, 0, 0] = matrices[:, 1, 1] = 0.8
    matrices[:, 0, 3], matrices[:, 1, 3] = 3, -2
    return matrices


def cloud(n, columns=4):
    return np.random.default_rng(n).uniform(-20, 20, (n, columns)).astype(np.float32)


@pytest.mark.parametrize("augmented", [False, True])
@pytest.mark.parametrize("count", [0, 1, 5])
@pytest.mark.parametrize("n", [0, 1, 5000])
def test_depth_images_equal_the_reference(device, n, count, augmented, threads):
    points, matrices = cloud(n), cameras(count)
    moved = augmentations(count) if augmented else None
    tensors = [None if values is None else torch.from_numpy(values) for values in (points, matrices, moved)]
    expected = reference.depth_images(*tensors, SIZE).numpy().astype(np.float32)
    arrays = [None if values is None else device.array(values) for values in (points, matrices, moved)]
    result = device.numpy(ops.depth_images(*arrays, SIZE, threads))
    np.testing.assert_array_equal(result > 0, expected > 0)
    np.testing.assert_allclose(result, expected, rtol=1e-6)


def test_the_last_point_of_a_pixel_wins(device):
    points = np.zeros((2000, 3), np.float32)
    points[:, 0] = np.random.default_rng(0).permutation(2000) + 1
    matrices = cameras(1)
    matrices[:, :3, 3] = 0
    result = device.numpy(ops.depth_images(device.array(points), device.array(matrices), None, SIZE))
    assert result[0, 30, 40] == points[-1, 0]
    assert np.count_nonzero(result) == 1


def test_points_behind_or_not_finite_are_left_out(device):
    points = np.array([[-5, 1, 1], [np.nan, 0, 0], [5, np.inf, 0], [5, 0, 0]], np.float32)
    result = device.numpy(ops.depth_images(device.array(points), device.array(cameras(1)), None, SIZE))
    assert np.count_nonzero(result) == 1
    assert result.max() == pytest.approx(5.1)


def test_bad_calls_say_what_is_wrong(device):
    points, matrices = device.array(cloud(5)), device.array(cameras(2))
    for message, call in {
        "at least 3 columns": lambda: ops.depth_images(device.array(cloud(5, 2)), matrices, None, SIZE),
        r"image_from_lidar must have the shape \[any, 4, 4\]": lambda: ops.depth_images(points, points, None, SIZE),
        r"augmentation must have the shape \[2, 4, 4\]": lambda: ops.depth_images(
            points, matrices, device.array(cameras(3)), SIZE
        ),
        "at least 1 pixel": lambda: ops.depth_images(points, matrices, None, (0, 5)),
        "points must be float32": lambda: ops.depth_images(device.array(np.zeros((3, 3))), matrices, None, SIZE),
    }.items():
        with pytest.raises(ValueError, match=message):
            call()

"""The view transform of the official BEVFusion code, step by step."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from perception import ops

BOUNDS_M = [(-54.0, 54.0, 0.3), (-54.0, 54.0, 0.3), (-10.0, 10.0, 20.0)]
IMAGE_SIZE, FEATURE_SIZE, DEPTHS = (256, 704), (32, 88), np.arange(1, 60, 0.5)
PREFIX = "encoders.camera.vtransform."


@pytest.fixture(scope="module")
def case(shared, golden):
    return golden.load_case(shared / "golden" / "bevfusion" / "view_transform")


@pytest.fixture(scope="module")
def points(case, shared):
    """The sweep's points inside the range, file order kept."""
    low, high = np.split(np.float32(case[0]["input"]["point_range"]), 2)
    (file,) = (shared / "data" / "nuscenes_sample").glob("*LIDAR_TOP*")
    rows = np.fromfile(file, np.float32).reshape(-1, 5)
    return rows[((rows[:, :3] > low) & (rows[:, :3] < high)).all(1)]


@pytest.fixture(scope="module")
def geometry(case):
    """Frustum points in the LiDAR frame, float32 [cameras, D, h, w, 3]."""
    inputs = {name: values[0].astype(np.float64) for name, values in case[1].items()}
    v, u = (np.linspace(0, size - 1, count) for size, count in zip(IMAGE_SIZE, FEATURE_SIZE, strict=True))
    depth, v, u = np.meshgrid(DEPTHS, v, u, indexing="ij")
    augmentation = inputs["img_aug_matrix"]
    pixels = np.stack([u, v, depth], -1) - augmentation[:, None, None, None, :3, 3]
    pixels = np.einsum("nij,ndhwj->ndhwi", np.linalg.inv(augmentation[:, :3, :3]), pixels)
    rays = np.concatenate([pixels[..., :2] * pixels[..., 2:], pixels[..., 2:]], -1)
    combine = inputs["camera2lidar"][:, :3, :3] @ np.linalg.inv(inputs["camera_intrinsics"][:, :3, :3])
    lidar = np.einsum("nij,ndhwj->ndhwi", combine, rays) + inputs["camera2lidar"][:, None, None, None, :3, 3]
    return lidar.astype(np.float32)


@pytest.fixture(scope="module")
def official_cells(case):
    """The official cell of each frustum point, int32 [cameras, D, h, w]; -1 outside."""
    x, y = np.cumsum(case[2]["bins_xy_delta"], -1).transpose(0, 1, 4, 2, 3)
    return np.where((x >= 0) & (y >= 0), x * 360 + y, -1).astype(np.int32)


def test_cells_and_their_counts(case, geometry, official_cells, device):
    spec, _, outputs = case
    np.testing.assert_allclose(geometry[None, :, ::13, ::5, ::7], outputs["geometry"], atol=1e-4)
    plan = device.numpy(ops.bev_plan(device.array(geometry), ops.BevGrid.from_bounds(BOUNDS_M)))
    assert np.count_nonzero(plan.cells != official_cells.reshape(-1)) <= 200, spec["tolerance"]["bins"]
    counts = np.diff(plan.begins).reshape(360, 360)
    assert np.abs(counts - outputs["cell_count"]).sum() <= 400


def test_depth_images(case, points, device):
    _, inputs, outputs = case
    matrices = (device.array(inputs[name][0]) for name in ("lidar2image", "img_aug_matrix"))
    images = device.numpy(ops.depth_images(device.array(points), *matrices, IMAGE_SIZE))
    expected = np.zeros_like(images)
    expected[tuple(outputs["depth_index"].T)] = outputs["depth_value"]
    # Points on the border of two pixels may fall to either side with other rounding.
    assert np.count_nonzero(np.abs(images - expected) > 1e-4) <= 10


def convolve(weights, name, features, stride=1, padding=0):
    """A convolution, its batch norm and ReLU, by the name of the first in the checkpoint."""
    prefix, index = name.rsplit(".", 1)
    norm = f"{prefix}.{int(index) + 1}."
    features = functional.conv2d(features, weights[f"{name}.weight"], weights[f"{name}.bias"], stride, padding)
    statistics = [weights[norm + key] for key in ("running_mean", "running_var", "weight", "bias")]
    return functional.relu(functional.batch_norm(features, *statistics))


def depth_and_context(spec, golden, images):
    """The official networks around the depth images: probabilities and context."""
    weights = {name.removeprefix(PREFIX): torch.from_numpy(values) for name, values in golden.state_dict(spec).items()}
    drawn = spec["drawn_inputs"]["input.image_features"]
    features = golden.draw("input.image_features", tuple(drawn["shape"]), drawn["rule"], spec["seed"])[0]
    depth = torch.from_numpy(images).unsqueeze(1)
    for name, stride, padding in (("dtransform.0", 1, 0), ("dtransform.3", 4, 2), ("dtransform.6", 2, 2)):
        depth = convolve(weights, name, depth, stride, padding)
    both = torch.cat([depth, torch.from_numpy(features)], 1)
    for name in ("depthnet.0", "depthnet.3"):
        both = convolve(weights, name, both, padding=1)
    return functional.conv2d(both, weights["depthnet.6.weight"], weights["depthnet.6.bias"])


@pytest.mark.large
def test_the_pooled_map(case, golden, official_cells, device):
    spec, _, outputs = case
    images = np.zeros((6, *IMAGE_SIZE), np.float32)
    images[tuple(outputs["depth_index"].T)] = outputs["depth_value"]
    with torch.no_grad():
        logits = depth_and_context(spec, golden, images)
    assert golden.relative_error(logits[::2, ::7, ::5, ::7], outputs["depthnet"]) < 1e-5
    depth, context = logits[:, :118].softmax(1).numpy(), np.ascontiguousarray(logits[:, 118:].numpy())
    # Centres of the official cells, so that the map does not depend on the last bits of the geometry.
    cells = official_cells.astype(np.float32)
    centres = np.stack([np.floor(cells / 360) + 0.5, cells % 360 + 0.5, np.zeros_like(cells)], -1)
    centres[official_cells < 0] = -5
    plan = ops.bev_plan(device.array(centres), ops.BevGrid((0, 0, 0), (1, 1, 1), (360, 360, 1)))
    bev = device.numpy(ops.lift_pool(device.array(depth), device.array(context), plan))
    tolerance = spec["tolerance"]["relative_error"]
    assert golden.relative_error(bev[:, ::9, ::4, ::4], outputs["bev_pooled"]) < tolerance
    assert golden.relative_error(bev.mean((0, 2, 3), np.float64), outputs["bev_pooled.mean"]) < tolerance
    assert golden.relative_error(bev.std((0, 2, 3), dtype=np.float64), outputs["bev_pooled.std"]) < tolerance

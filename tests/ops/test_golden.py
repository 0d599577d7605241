"""The operations of the official SPVNAS code on the official torchsparse, case by case."""

import numpy as np
import pytest

from perception import ops


@pytest.fixture(scope="module")
def case(shared, golden):
    spec, inputs, outputs = golden.load_case(shared / "golden" / "spvnas" / "ops")
    return inputs, outputs, golden.state_dict(spec), spec["tolerance"]["relative_frobenius_error"]


def test_submanifold_convolution(case, golden):
    inputs, outputs, weights, tolerance = case
    table = ops.submanifold_table(inputs["coords"])
    np.testing.assert_array_equal(table, outputs["k3s1_map"])
    result = ops.sparse_convolution(inputs["feats"], table, weights["k3s1"])
    assert golden.relative_error(result, outputs["k3s1"]) < tolerance


def test_down_and_up(case, golden):
    inputs, outputs, weights, tolerance = case
    level = ops.downsample(inputs["coords"])
    rows = ops.CoordinateHash(level.coords).query(outputs["k2s2_floor_coords"])
    assert len(level.coords) == len(rows)
    table = ops.strided_table(level.parent, level.offset, len(level.coords))
    np.testing.assert_array_equal(table[rows], outputs["k2s2_floor_map"])
    coarse = ops.sparse_convolution(inputs["feats"], table, weights["k2s2"])
    assert golden.relative_error(coarse[rows], outputs["k2s2_floor"]) < tolerance
    fine = ops.inverse_convolution(coarse, level.parent, level.offset, weights["k2s2_transposed"])
    assert golden.relative_error(fine, outputs["k2s2_transposed_floor"]) < tolerance


@pytest.mark.parametrize("kind", ["k3s2_minkowski", "k3s2_v21_pad0", "k3s2_v21_pad1"])
def test_convolution_by_a_given_table(case, golden, kind):
    inputs, outputs, weights, tolerance = case
    table = outputs[f"{kind}_map"].astype(np.int32)
    result = ops.sparse_convolution(inputs["feats"], table, weights["k3s2"])
    assert golden.relative_error(result, outputs[kind]) < tolerance


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_between_points_and_voxels(case, golden, stride, device):
    inputs, outputs, _, tolerance = case
    points, coords, features = (
        device.array(outputs[name])
        for name in ("voxelize_point_coords", f"devoxelize_s{stride}_coords", f"devoxelize_s{stride}_feats")
    )
    indices, weights = ops.trilinear_table(points, coords, stride)
    np.testing.assert_array_equal(device.numpy(indices), outputs[f"devoxelize_s{stride}_index"])
    assert golden.relative_error(device.numpy(weights), outputs[f"devoxelize_s{stride}_weights"]) < tolerance
    result = device.numpy(ops.devoxelize(features, indices, weights))
    assert golden.relative_error(result, outputs[f"devoxelize_s{stride}"]) < tolerance
    kind = f"point_to_voxel_s{stride}"
    index, count = device.array(outputs[f"{kind}_index"]), len(outputs[f"{kind}_coords"])
    means, _ = ops.scatter_mean(device.array(inputs["point_feats"]), index, count)
    assert golden.relative_error(device.numpy(means), outputs[kind]) < tolerance


def test_initial_voxels(case, golden, device):
    inputs, outputs, _, tolerance = case
    voxels = ops.unique(device.array(np.floor(outputs["voxelize_point_coords"]).astype(np.int32)))
    rows = device.numpy(ops.CoordinateHash(device.array(outputs["voxelize_coords"])).query(voxels.coords))
    np.testing.assert_array_equal(rows[device.numpy(voxels.inverse)], outputs["voxelize_index"])
    means, _ = ops.scatter_mean(device.array(inputs["point_feats"]), voxels.inverse, len(voxels.coords))
    assert golden.relative_error(device.numpy(means), outputs["voxelize"][rows]) < tolerance

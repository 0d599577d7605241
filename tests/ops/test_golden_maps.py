"""Kernel maps of the official torchsparse and of BEVFusion's encoder (spconv), built and not only used."""

import numpy as np
import pytest

from perception import ops

NORM = ("weight", "bias", "running_mean", "running_var")


@pytest.fixture(scope="module")
def case(shared, golden):
    spec, inputs, outputs = golden.load_case(shared / "golden" / "spvnas" / "ops")
    return inputs, outputs, golden.state_dict(spec), spec["tolerance"]["relative_frobenius_error"]


def ascending(coords):
    """Rows in the order of the golden coordinates."""
    return np.lexsort(coords.T[::-1])


def largest_shape(coords):
    """The grid that ends at the largest coordinates, as torchsparse 2.1 has it."""
    return tuple(int(largest) + 1 for largest in coords[:, 1:].max(0))


def test_strided_3_by_the_rule_minkowski(device, case, golden):
    inputs, outputs, weights, tolerance = case
    coords = device.array(inputs["coords"])
    level = ops.downsample(coords)
    table = device.numpy(ops.window_table(coords, level.coords, 3, 2, 1))
    order = ascending(device.numpy(level.coords))
    np.testing.assert_array_equal(device.numpy(level.coords)[order], outputs["k3s2_minkowski_coords"])
    np.testing.assert_array_equal(table[order], outputs["k3s2_minkowski_map"])
    result = ops.sparse_convolution(inputs["feats"], table, weights["k3s2"])
    assert golden.relative_error(result[order], outputs["k3s2_minkowski"]) < tolerance


@pytest.mark.parametrize("padding", [0, 1])
def test_strided_3_by_the_rule_v21(device, case, golden, padding):
    inputs, outputs, weights, tolerance = case
    kind, coords = f"k3s2_v21_pad{padding}", device.array(outputs["coords_nonneg"])
    shape = largest_shape(outputs["coords_nonneg"])
    found = ops.window_outputs(coords, 3, 2, padding, shape=shape)
    table = device.numpy(ops.window_table(coords, found, 3, 2, padding))
    order = ascending(device.numpy(found))
    np.testing.assert_array_equal(device.numpy(found)[order], outputs[f"{kind}_coords"])
    np.testing.assert_array_equal(table[order], outputs[f"{kind}_map"])
    result = ops.sparse_convolution(inputs["feats"], table, weights["k3s2"])
    assert golden.relative_error(result[order], outputs[kind]) < tolerance


def test_strided_2_by_the_rule_v21_and_back(device, case, golden):
    inputs, outputs, weights, tolerance = case
    coords = device.array(outputs["coords_nonneg"])
    found = ops.window_outputs(coords, 2, 2, shape=largest_shape(outputs["coords_nonneg"]))
    table = ops.window_table(coords, found, 2, 2)
    back = device.numpy(ops.transpose_table(table, len(coords)))
    found, table = device.numpy(found), device.numpy(table)
    order, z_fastest = ascending(found), np.argsort(ops.x_fastest_weights(2))
    np.testing.assert_array_equal(found[order], outputs["k2s2_v21_coords"])
    np.testing.assert_array_equal(table[order][:, z_fastest], outputs["k2s2_v21_map"])
    coarse = ops.sparse_convolution(inputs["feats"], table, weights["k2s2"][ops.x_fastest_weights(2)])
    assert golden.relative_error(coarse[order], outputs["k2s2_v21"]) < tolerance
    weight = weights["k2s2_transposed"][ops.x_fastest_weights(2)]
    fine = ops.sparse_convolution(coarse, back, weight)
    assert golden.relative_error(fine, outputs["k2s2_transposed_v21"]) < tolerance


def test_weights_of_bevfusion_in_the_order_of_the_tables(device, shared, golden):
    spec, _, outputs = golden.load_case(shared / "golden" / "bevfusion" / "lidar_encoder")
    weights = golden.state_dict(spec)
    voxels = outputs["voxel_coords"].astype(np.int32)
    coords = np.concatenate([np.zeros((len(voxels), 1), np.int32), voxels], 1)
    table = device.numpy(ops.submanifold_table(device.array(coords)))
    norm = {name: weights[f"encoders.lidar.backbone.conv_input.1.{name}"] for name in NORM}
    scale = norm["weight"] / np.sqrt(norm["running_var"] + 1e-3)
    kernel = weights["encoders.lidar.backbone.conv_input.0.weight"].reshape(27, 5, 16)[ops.x_fastest_weights(3)]
    bias = norm["bias"] - norm["running_mean"] * scale
    kernel, bias = (kernel * scale).astype(np.float32), bias.astype(np.float32)
    result = ops.sparse_convolution(outputs["voxel_features"], table, kernel, bias, relu=True)
    assert len(result) == outputs["conv_input.count"]
    assert golden.relative_error(result.mean(0, np.float64), outputs["conv_input.mean"]) < 1e-5
    assert golden.relative_error(result.std(0, dtype=np.float64), outputs["conv_input.std"]) < 1e-5


def test_levels_of_the_encoder_of_bevfusion(device, shared, golden):
    spec, _, outputs = golden.load_case(shared / "golden" / "bevfusion" / "lidar_encoder")
    paddings = [(1, 1, 1), (1, 1, 1), (1, 1, 0)]
    shape = tuple(spec["config"]["encoders"]["lidar"]["backbone"]["sparse_shape"])
    voxels = outputs["voxel_coords"].astype(np.int32)
    coords = np.concatenate([np.zeros((len(voxels), 1), np.int32), voxels], 1)
    for level, padding in enumerate(paddings, 1):
        coords = device.numpy(ops.window_outputs(device.array(coords), 3, 2, padding, shape=shape))
        shape = ops.output_shape(shape, 3, 2, padding)
        assert len(coords) == outputs[f"encoder_layer{level}.count"]
    assert shape == (180, 180, 5)
    np.testing.assert_array_equal(coords[ascending(coords)][::16, 1:], outputs["encoder_layer4.indices"])
    last = device.numpy(ops.window_outputs(device.array(coords), (1, 1, 3), (1, 1, 2), shape=shape))
    assert ops.output_shape(shape, (1, 1, 3), (1, 1, 2)) == (180, 180, 2)
    assert len(last) == outputs["conv_out.count"]

"""The official FlatFormer, built from the native operations alone: the pieces, and the encoder on two real scans."""

import numpy as np
import pytest

from perception import ops

TOLERANCE = 1e-4
HEADS = 8
SIZE = (468, 468)
ORDERS = {"x": ("x", False), "x_shift": ("x", True), "y": ("y", False), "y_shift": ("y", True)}
GRID = ops.PillarGrid((-74.88, -74.88, -2.0), (0.32, 0.32, 6.0), *SIZE, clamp=True, drop_first=True)


class Layer:
    """One layer of FlatFormer (post-norm), with the weights of an official checkpoint on a device."""

    def __init__(self, device, weights, prefix):
        w = {
            name.removeprefix(prefix): device.array(value) for name, value in weights.items() if name.startswith(prefix)
        }
        self.both = w["attn.attn.in_proj_weight"][:256], w["attn.attn.in_proj_bias"][:256]
        self.value = w["attn.attn.in_proj_weight"][256:], w["attn.attn.in_proj_bias"][256:]
        self.out = w["attn.attn.out_proj.weight"], w["attn.attn.out_proj.bias"]
        self.first, self.second = ((w[f"{name}.weight"], w[f"{name}.bias"]) for name in ("fc1", "fc2"))
        self.norms = [ops.LayerNorm(w[f"norm{i}.weight"], w[f"norm{i}.bias"]) for i in (1, 2)]

    def attend(self, device, x, coords, table, order, groups):
        stacked = device.numpy(ops.linear(ops.add_position(x, coords, table), *self.both))
        q, k = (device.array(part) for part in (stacked[:, :128], stacked[:, 128:]))
        return ops.group_attention(q, k, ops.linear(x, *self.value), HEADS, groups, order)

    def __call__(self, device, x, *where):
        x = ops.linear(self.attend(device, x, *where), *self.out, residual=x, norm=self.norms[0])
        return ops.linear(ops.linear(x, *self.first, "gelu"), *self.second, residual=x, norm=self.norms[1])


def sequences(device, coords, counts, window, group_size):
    """The four orders of a block and its groups."""
    walks = [ops.WindowWalk(len(counts), SIZE, (window, window), *walk) for walk in ORDERS.values()]
    orders = [ops.window_order(coords, walk) for walk in walks]
    return orders, ops.group_tokens(counts, group_size, like=coords)


def block(weights, device, index):
    prefix = f"middle_encoder.block_list.{index}.block"
    return [Layer(device, weights, f"{prefix}.{layer}.") for layer in range(4)]


@pytest.fixture(scope="module")
def pieces(shared, golden):
    spec, inputs, outputs = golden.load_case(shared / "golden" / "flatformer" / "ops")
    return inputs, outputs, golden.state_dict(spec)


@pytest.fixture(params=["w13_g144", "w9_g69"])
def variant(request):
    return request.param


def in_parts(device, pieces, variant):
    coords = device.array(pieces[0]["coords"][:, [0, 2, 3]].astype(np.int32))
    window, group_size = (int(part[1:]) for part in variant.split("_"))
    counts = np.bincount(pieces[0]["coords"][:, 0]).tolist()
    return coords, *sequences(device, coords, counts, window, group_size)


def test_orders_and_groups(device, pieces, variant):
    _, orders, groups = in_parts(device, pieces, variant)
    for name, order in zip(ORDERS, orders, strict=True):
        np.testing.assert_array_equal(device.numpy(order), pieces[1][f"{variant}_order_{name}"], err_msg=name)
    np.testing.assert_array_equal(device.numpy(groups.flat2win), pieces[1][f"{variant}_flat2win"])
    np.testing.assert_array_equal(device.numpy(groups.win2flat), pieces[1][f"{variant}_win2flat"])


def test_position(device, pieces, golden):
    coords = device.array(pieces[0]["coords"][pieces[1]["rows"]][:, [0, 2, 3]].astype(np.int32))
    table = device.array(ops.sine_table(468, 64))
    zeros = device.array(np.zeros((len(pieces[1]["rows"]), 128), np.float32))
    assert golden.relative_error(device.numpy(ops.add_position(zeros, coords, table)), pieces[1]["pe"]) < TOLERANCE


def test_attention_layer_and_block(device, pieces, variant, golden):
    inputs, outputs, weights = pieces
    coords, orders, groups = in_parts(device, pieces, variant)
    table, x = device.array(ops.sine_table(468, 64)), device.array(inputs["features"])
    layers = block(weights, device, 0)
    attended = ops.linear(layers[0].attend(device, x, coords, table, orders[0], groups), *layers[0].out)
    # The result of a slot that repeats a token is that token's; the reference stores slots of the first and last group.
    positions = device.numpy(groups.flat2win).reshape(-1, groups.size)[[0, -1], ::3]
    slots = np.arange(len(device.numpy(groups.flat2win))).reshape(-1, groups.size)[[0, -1], ::3]
    own = device.numpy(groups.win2flat)[positions] == slots
    attended = device.numpy(attended)[device.numpy(orders[0])[positions]]
    assert golden.relative_error(attended[own], outputs[f"{variant}_attention"][own]) < TOLERANCE
    for index, (layer, order) in enumerate(zip(layers, orders, strict=True)):
        x = layer(device, x, coords, table, order, groups)
        if index == 0:
            in_sequence = device.numpy(x)[device.numpy(order)][::6]
            assert golden.relative_error(in_sequence, outputs[f"{variant}_layer0"]) < TOLERANCE
    assert golden.relative_error(device.numpy(x)[outputs["rows"]], outputs[f"{variant}_block0"]) < TOLERANCE


def folded(weights, index):
    """A layer of the pillar encoder with its batch norm folded into weight and bias."""
    prefix = f"voxel_encoder.vfe_layers.{index}"
    norm = {name: weights[f"{prefix}.norm.{name}"] for name in ("weight", "bias", "running_mean", "running_var")}
    scale = norm["weight"] / np.sqrt(norm["running_var"] + np.float32(1e-3))
    return scale[:, None] * weights[f"{prefix}.linear.weight"], norm["bias"] - scale * norm["running_mean"]


def encode_pillars(device, weights, points, batch):
    """FlatFormer's DynamicVFE; what its second layer makes of pillars is computed once per pillar, not per point."""
    found = ops.find_pillars(device.array(points), GRID, device.array(batch), 2)
    first, first_bias = folded(weights, 0)
    second, second_bias = folded(weights, 1)
    x = ops.pillar_features(device.array(points), GRID, found)
    x = ops.linear(x, device.array(first), device.array(first_bias), "relu")
    of_pillars = ops.segment_reduce(x, found.begins, "max")
    of_pillars = ops.linear(of_pillars, device.array(second[:, 64:]), device.array(second_bias))
    other = {"residual": of_pillars, "residual_rows": found.pillar}
    x = ops.linear(x, device.array(second[:, :64]), activation="relu", **other)
    return found, ops.segment_reduce(x, found.begins, "max")


@pytest.mark.large
def test_encoder_on_real_scans(device, shared, golden):
    spec, inputs, outputs = golden.load_case(shared / "golden" / "flatformer" / "encoder")
    weights = golden.state_dict(spec)
    points = np.concatenate([inputs["points_0"], inputs["points_1"]])
    batch = np.repeat(np.arange(2, dtype=np.int32), [len(inputs["points_0"]), len(inputs["points_1"])])
    found, x = encode_pillars(device, weights, points, batch)
    np.testing.assert_array_equal(device.numpy(found.coords), outputs["coords"][:, [0, 2, 3]])
    assert golden.relative_error(device.numpy(x)[outputs["rows"]], outputs["vfe"]) < TOLERANCE
    orders, groups = sequences(device, found.coords, found.counts, 13, 144)
    table = device.array(ops.sine_table(468, 64))
    for index in range(8):
        layer, order = block(weights, device, index // 4)[index % 4], orders[index % 4]
        x = layer(device, x, found.coords, table, order, groups)
        error = golden.relative_error(device.numpy(x)[outputs["layer_rows"]], outputs["layers"][index])
        assert error < TOLERANCE, f"layer {index}"
    assert golden.relative_error(device.numpy(x)[outputs["rows"]], outputs["block_1"]) < TOLERANCE
    bev = device.numpy(ops.pillars_to_map(x, found.coords, 2, SIZE))
    assert golden.relative_error(bev[:, :, ::4, ::4], outputs["bev"]) < TOLERANCE
    assert golden.relative_error(bev.sum((2, 3), dtype=np.float64), outputs["bev_channel_sum"]) < TOLERANCE
    np.testing.assert_array_equal(np.packbits((bev != 0).any(1)), outputs["bev_occupied"])

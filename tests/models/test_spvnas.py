"""SPVNAS and its supernet: slices, samples, shared weights."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from perception.bundle.architecture import SpvnasArchitecture, layers_of, multiplications
from perception.bundle.supernet import SupernetSpace, specialise, tensor_slices
from perception.configuration import ConfigurationError, parse_settings
from perception.models.spvnas import SPVNAS, Supernet
from perception.nn.fusion import fuse
from perception.nn.tables import FrameTables

CLASSES = 5
LARGEST = SpvnasArchitecture.uniform(8, (8, 16, 24, 32), (32, 24, 16, 16))


@pytest.fixture
def space() -> SupernetSpace:
    return SupernetSpace(largest=LARGEST, granularity=4)


@pytest.fixture
def supernet(space: SupernetSpace) -> Supernet:
    torch.manual_seed(0)
    supernet = Supernet(space, CLASSES)
    for name, buffer in supernet.network.named_buffers():  # as if trained: no running statistic is trivial
        if buffer.is_floating_point():
            buffer.copy_(torch.rand_like(buffer) + (0.5 if "var" in name else -0.5))
    return supernet


@pytest.fixture
def frame() -> tuple[FrameTables, torch.Tensor]:
    rng = np.random.default_rng(0)
    coords = np.unique(rng.integers(0, 20, (600, 4)) // (10, 1, 1, 2), axis=0).astype(np.int32)
    return FrameTables(coords), torch.from_numpy(rng.standard_normal((len(coords), 4)).astype(np.float32))


def samples(space: SupernetSpace, count: int, seed: int = 0) -> list[SpvnasArchitecture]:
    rng = np.random.default_rng(seed)
    return [space.sample(rng) for _ in range(count)]


def test_slices_name_and_shape_every_tensor_of_the_network(space: SupernetSpace) -> None:
    for architecture in [*samples(space, 5), space.smallest, space.largest]:
        state = SPVNAS(CLASSES, architecture).state_dict()
        slices = tensor_slices(architecture, space.largest, CLASSES)
        assert {name: tuple(tensor.shape) for name, tensor in state.items()} == {
            name: part.shape for name, part in slices.items()
        }


def test_the_largest_network_is_the_whole_supernet(space: SupernetSpace, supernet: Supernet) -> None:
    tensors = {name: tensor.numpy() for name, tensor in supernet.network.state_dict().items()}
    cut = specialise(tensors, space.largest, space.largest, CLASSES)
    assert cut.keys() == tensors.keys()
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(cut[name], tensor)


def test_bundles_without_counters_can_be_cut(space: SupernetSpace, supernet: Supernet) -> None:
    tensors = {name: tensor.numpy() for name, tensor in supernet.network.state_dict().items()}
    uncounted = {name: tensor for name, tensor in tensors.items() if not name.endswith("num_batches_tracked")}
    assert specialise(uncounted, space.smallest, space.largest, CLASSES).keys() < uncounted.keys()
    with pytest.raises(KeyError):
        specialise({}, space.smallest, space.largest, CLASSES)


def test_widths_are_multiples_within_their_bounds(space: SupernetSpace) -> None:
    assert list(space.widths(16)) == [4, 8, 12, 16]
    assert list(space.widths(8)) == [4, 8]
    assert list(space.widths(32)) == [8, 12, 16, 20, 24, 28, 32]
    assert list(SupernetSpace(largest=LARGEST, granularity=4, min_ratio=1.0).widths(24)) == [24]


def test_sampling_reaches_every_width_and_depth_and_nothing_else(space: SupernetSpace) -> None:
    drawn = samples(space, 300)
    assert {one.up[0].out for one in drawn} == set(space.widths(32))
    assert {one.down[0].transition for one in drawn} == set(space.widths(8))
    assert {len(one.down[3].hidden) for one in drawn} == {1, 2}
    assert {one.stem for one in drawn} == {8}
    share = np.mean([one.up[0].out == 32 for one in drawn])
    assert share == pytest.approx(1 / 7, abs=0.08), "widths are drawn uniformly"


def test_progressive_shrinking_holds_the_depth_back(space: SupernetSpace) -> None:
    rng = np.random.default_rng(0)
    drawn = [space.sample(rng, min_depth=2) for _ in range(20)]
    assert {len(stage.hidden) for one in drawn for stage in (*one.down, *one.up)} == {2}


def test_applied_and_materialised_networks_agree(
    space: SupernetSpace, supernet: Supernet, frame: tuple[FrameTables, torch.Tensor]
) -> None:
    supernet.eval()
    for architecture in samples(space, 3):
        with torch.no_grad():
            applied = supernet.apply_network(architecture, *frame)
            materialised = supernet.materialise(architecture).label(*frame)
        torch.testing.assert_close(applied, materialised, rtol=0, atol=0)


def test_fused_networks_agree(
    space: SupernetSpace, supernet: Supernet, frame: tuple[FrameTables, torch.Tensor]
) -> None:
    supernet.eval()
    for architecture in [*samples(space, 2), space.smallest]:
        network = supernet.materialise(architecture)
        with torch.inference_mode():
            plain = network.label(*frame)
            torch.testing.assert_close(fuse(network).label(*frame), plain, rtol=1e-4, atol=1e-4)


def test_gradients_reach_the_first_channels_only(
    space: SupernetSpace, supernet: Supernet, frame: tuple[FrameTables, torch.Tensor]
) -> None:
    supernet.train()
    architecture = space.scaled(0.5, 1)
    supernet.apply_network(architecture, *frame).square().sum().backward()
    network = supernet.network
    inner = network.get_parameter("downsample.1.feature.0.net.0.net.conv.kernel").grad
    hidden, entering = architecture.down[1].hidden[0], architecture.down[1].transition
    assert inner is not None
    assert inner.abs().sum(0)[:entering, :hidden].min() > 0
    assert not inner[:, entering:].any()
    assert not inner[:, :, hidden:].any()
    assert network.get_parameter("downsample.3.feature.1.net.0.net.conv.kernel").grad is None
    skip = network.get_parameter("upsample.0.feature.0.net.0.net.conv.kernel").grad
    assert skip is not None
    used = skip.abs().sum((0, 2)) > 0
    offset, transition, wide = LARGEST.up[0].transition, architecture.up[0].transition, architecture.down[2].out
    assert used.nonzero().flatten().tolist() == [*range(transition), *range(offset, offset + wide)]


def test_training_leaves_the_running_statistics_alone(
    space: SupernetSpace, supernet: Supernet, frame: tuple[FrameTables, torch.Tensor]
) -> None:
    before = {name: buffer.clone() for name, buffer in supernet.named_buffers()}
    supernet.train().apply_network(space.largest, *frame)
    for name, buffer in supernet.named_buffers():
        assert torch.equal(buffer, before[name]), name


def test_a_materialised_network_has_weights_of_its_own(space: SupernetSpace, supernet: Supernet) -> None:
    before = {name: tensor.clone() for name, tensor in supernet.state_dict().items()}
    for parameter in supernet.materialise(space.largest).parameters():
        parameter.data.zero_()
    assert all(torch.equal(tensor, before[name]) for name, tensor in supernet.state_dict().items())


def test_multiplications_are_those_of_the_layers(space: SupernetSpace, frame: tuple[FrameTables, torch.Tensor]) -> None:
    tables, _ = frame
    architecture = samples(space, 1)[0]
    rows = {stride: len(tables.coords(stride)) for stride in SPVNAS.levels}
    neighbours = {stride: int((tables.submanifold(stride) >= 0).sum()) for stride in SPVNAS.levels}
    counted = multiplications(layers_of(architecture, CLASSES), rows, neighbours)
    expected = 0

    def count(module: Any, inputs: Any, output: Any) -> None:
        nonlocal expected
        tensor = inputs[0]
        *_, entering, out = module.kernel.shape
        if module.kernel_size == 3:
            pairs = neighbours[tensor.stride]
        elif module.kernel_size == 1:
            pairs = rows[tensor.stride]
        else:
            pairs = rows[min(tensor.stride, output.stride)]
        expected += pairs * entering * out

    network = SPVNAS(CLASSES, architecture).eval()
    for module in network.modules():
        if type(module).__name__ == "Conv3d":
            module.register_forward_hook(count)
    network.label(*frame)
    widths = (architecture.stem, *architecture.point_widths)
    expected += sum(a * b for a, b in pairwise(widths)) * rows[1]
    assert counted == expected + rows[1] * architecture.classifier * CLASSES


def test_wrong_spaces_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="min_depth is 3"):
        parse_settings(SupernetSpace, {"largest": LARGEST, "min_depth": 3}, "space.yaml")
    with pytest.raises(ConfigurationError, match="classifier has 8 columns for 16 channels"):
        parse_settings(SpvnasArchitecture, {**LARGEST.model_dump(), "classifier": 8}, "space.yaml")

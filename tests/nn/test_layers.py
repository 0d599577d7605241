"""Layers on levels: what goes where, and what a constant shows."""

from __future__ import annotations

import pytest
import torch

from perception.nn.convolution import Conv3d
from perception.nn.exchange import points_from_voxels, voxels_from_points
from perception.nn.sparse_tensor import SparseTensor, concatenate
from perception.nn.tables import FrameTables


@pytest.fixture
def tables() -> FrameTables:
    torch.manual_seed(0)
    return FrameTables(torch.unique(torch.randint(-9, 9, (300, 4)).int() * torch.tensor([0, 1, 1, 1]).int(), dim=0))


@pytest.mark.parametrize(
    ("size", "transposed", "level", "output"), [(1, False, 2, 2), (3, False, 2, 2), (2, False, 2, 4), (2, True, 2, 1)]
)
def test_levels_and_widths(tables: FrameTables, size: int, transposed: bool, level: int, output: int) -> None:
    tensor = SparseTensor(torch.randn(len(tables.coords(level)), 3), tables, level)
    result = Conv3d(3, 5, size, transposed)(tensor)
    assert result.stride == output
    assert result.features.shape == (len(tables.coords(output)), 5)


@pytest.mark.parametrize(("size", "transposed"), [(5, False), (3, True), (1, True)])
def test_sizes_that_do_not_exist(size: int, transposed: bool) -> None:
    with pytest.raises(ValueError, match="no convolution"):
        Conv3d(3, 5, size, transposed)


def test_the_middle_weight_is_the_voxel_itself(tables: FrameTables) -> None:
    layer = Conv3d(2, 2)
    layer.kernel.data.zero_()
    layer.kernel.data[13] = torch.eye(2)
    features = torch.randn(len(tables.coords(1)), 2)
    torch.testing.assert_close(layer(SparseTensor(features, tables)).features, features)


def test_coarse_voxels_are_floors(tables: FrameTables) -> None:
    expected = {(0, *(v // 4 for v in voxel[1:])) for voxel in tables.coords(1).tolist()}
    assert {tuple(voxel) for voxel in tables.coords(4).tolist()} == expected


@pytest.mark.parametrize("stride", [1, 2, 4, 16])
def test_a_constant_survives_the_exchange(tables: FrameTables, stride: int) -> None:
    ones = torch.ones(len(tables.coords(1)), 3)
    tensor = voxels_from_points(ones, tables, stride)
    torch.testing.assert_close(tensor.features, torch.ones(len(tables.coords(stride)), 3))
    torch.testing.assert_close(points_from_voxels(tensor), ones)


def test_concatenation_keeps_the_order(tables: FrameTables) -> None:
    count = len(tables.coords(1))
    first, second = (SparseTensor(torch.full((count, 1), value), tables) for value in (1.0, 2.0))
    assert concatenate([first, second]).features[0].tolist() == [1.0, 2.0]

"""Every network that a bundle can name is built, and every other name is refused in one line."""

from __future__ import annotations

from typing import Any, get_args

import pydantic
import pytest
import torch

from perception.bundle.architecture import SpvnasArchitecture
from perception.bundle.format import NetworkSettings
from perception.configuration import ConfigurationError, Settings, parse_settings
from perception.models.build import BUILDERS, build_network
from perception.models.network import SegmentationNetwork
from perception.training.settings import TrainingSettings

SMALL = SpvnasArchitecture.uniform(8, (8, 8, 8, 8), (8, 8, 8, 8))


class Description(Settings):
    network: NetworkSettings


def _parsed(values: dict[str, Any]) -> NetworkSettings:
    return parse_settings(Description, {"network": values}, "bundle.yaml").network


def test_every_kind_has_a_builder() -> None:
    union, *_ = get_args(NetworkSettings)
    assert set(get_args(union)) == set(BUILDERS)


@pytest.mark.parametrize(
    "values",
    [
        {"model": "spvcnn", "width": 0.125, "input_channels": 5},
        {"model": "minkunet", "width": 0.125, "input_channels": 5},
        {"model": "spvnas", "architecture": SMALL.model_dump(mode="json"), "input_channels": 5},
    ],
    ids=lambda values: values["model"],
)
def test_what_is_described_is_built(values: dict[str, Any]) -> None:
    network = build_network(_parsed(values), classes=3).eval()
    assert isinstance(network, SegmentationNetwork)
    coords = torch.tensor([[0, 0, 0, 0], [0, 1, 0, 0], [0, 9, 9, 9]], dtype=torch.int32)
    assert network(coords, torch.rand(3, 5)).shape == (3, 3)


BLOCKS = {"size_m": 10, "height_m": [-3, 5], "points": 100}


def test_pvcnn_is_built() -> None:
    network = build_network(_parsed({"model": "pvcnn", "width": 0.25, "blocks": BLOCKS}), classes=3).eval()
    assert network(torch.rand(2, 7, 9)).shape == (2, 3, 9)
    assert network.point_features[0].placement == "fixed"


def test_settings_survive_a_file() -> None:
    pvcnn = _parsed({"model": "pvcnn", "width": 0.5, "blocks": BLOCKS})
    spvnas = _parsed({"model": "spvnas", "architecture": SMALL})
    for settings in (_parsed({"model": "spvcnn", "width": 0.5}), spvnas, pvcnn):
        assert _parsed(settings.model_dump(mode="json")) == settings


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"model": "pointnet", "width": 1}, "network.model: unknown 'pointnet' (known: spvcnn, minkunet, spvnas"),
        ({"width": 1}, "network.model: Field required"),
        ({"model": "spvcnn"}, "network.width: Field required"),
        ({"model": "spvcnn", "width": 0}, "network.width: Input should be greater than 0, found 0"),
        ({"model": "spvcnn", "architecture": {}}, "network.width: Field required"),
        ({"model": "spvnas", "width": 1}, "network.architecture: Field required"),
        ({"model": "pvcnn", "width": 1}, "network.blocks: Field required"),
        (
            {"model": "pvcnn", "width": 1, "blocks": BLOCKS | {"height_m": [5, -3]}},
            "network.blocks: height_m runs from 5.0 to -3.0, expected low, high",
        ),
    ],
)
def test_a_wrong_network_is_one_line(values: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        _parsed(values)
    assert str(caught.value).startswith(f"bundle.yaml: {expected}")
    assert "\n" not in str(caught.value)


def test_training_configurations_take_every_network() -> None:
    """The number of features is checked against the network's, whichever it is."""
    values = {"model": "spvnas", "architecture": SMALL, "input_channels": 3}
    settings = {"name": "tiny", "network": values, "voxel_size_m": 0.1, "feature_scale": [1, 1, 1, 1], "batch_size": 1}
    settings |= {"steps": 1, "optimizer": {"learning_rate": 0.1}, "data": {
        "training_seeds": {"first": 5, "count": 1}, "validation_seeds": {"first": 1, "count": 1},
        "sweeps_per_drive": 1, "sweep_step": 1,
    }}  # fmt: skip
    with pytest.raises(pydantic.ValidationError, match="4 feature scales for 3 features"):
        TrainingSettings.model_validate(settings)
    assert TrainingSettings.model_validate({**settings, "feature_scale": [1, 1, 1]}).network.model == "spvnas"

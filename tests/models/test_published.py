"""What a published checkpoint is can be read off its names and shapes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from perception.bundle.architecture import SpvnasArchitecture
from perception.bundle.format import SpvcnnSettings, SpvnasSettings
from perception.bundle.supernet import SupernetSpace, specialise
from perception.configuration import ConfigurationError
from perception.models.net_config import choose_network, read_net_config
from perception.models.published import (
    OFFICIAL_SUPERNET,
    advise,
    infer_architecture,
    infer_width,
    recognise,
    specialised_names,
)
from perception.models.spvcnn import SPVCNN
from perception.models.spvnas import SPVNAS

SPACE = SupernetSpace(largest=SpvnasArchitecture.uniform(8, (8, 16, 24, 32), (32, 24, 16, 16)), granularity=4)


def _tensors(build: Any, *arguments: Any, **options: Any) -> dict[str, torch.Tensor]:
    with torch.device("meta"):
        return build(*arguments, **options).state_dict()


def _sizes(tensors: dict[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


@settings(deadline=None, max_examples=10)
@given(hundredths=st.integers(7, 250))
def test_any_width_in_hundredths_is_found(hundredths: int) -> None:
    width = hundredths / 100
    inferred = infer_width(_sizes(_tensors(SPVCNN, width=width)))
    channels = [int(width * full) for full in (32, 64, 96, 128, 256)]
    assert [int(inferred * full) for full in (32, 64, 96, 128, 256)] == channels
    assert len(str(inferred)) <= len(str(width))


@pytest.mark.parametrize("width", [1.0, 0.5, 0.64, 0.235])
def test_known_widths_are_found_exactly(width: float) -> None:
    assert infer_width(_sizes(_tensors(SPVCNN, width=width))) == width


def test_classes_and_features_are_found() -> None:
    found = recognise(_tensors(SPVCNN, classes=16, width=0.5, input_channels=5), "minkunet")
    assert (found.classes, found.settings.input_channels, len(found.mismatch)) == (16, 5, 0)
    found = recognise(_tensors(SPVNAS, 7, SPACE.smallest, input_channels=3), "spvnas")
    assert (found.classes, found.settings.input_channels, len(found.mismatch)) == (7, 3, 0)


@pytest.mark.parametrize("seed", range(5))
def test_every_architecture_is_found(seed: int) -> None:
    architecture = SPACE.sample(np.random.default_rng(seed))
    tensors = _tensors(SPVNAS, 5, architecture)
    assert infer_architecture(_sizes(tensors)) == architecture
    assert len(recognise(tensors, "spvnas").mismatch) == 0


def test_names_of_elastic_layers(shared: Path) -> None:
    """The names that the official code gives each tensor in the super-network, and in a network cut out of it."""
    spec = json.loads((shared / "golden" / "spvnas" / "spvnas_net" / "spec.json").read_text())
    kinds = {"int0": torch.int64}
    elastic = {
        name: torch.empty(entry["shape"], dtype=kinds.get(entry["rule"], torch.float32), device="meta")
        for name, entry in spec["tensors"].items()
    }
    renamed = specialised_names(elastic)
    assert len(renamed) == len(elastic)
    for name, entry in spec["specialised_tensors"].items():
        assert renamed[name] is elastic[entry["from"]]
    found = recognise(elastic, "spvnas")
    assert found.settings == SpvnasSettings(architecture=OFFICIAL_SUPERNET)
    assert len(found.mismatch) == 0


def test_two_names_that_mean_the_same_stay_apart() -> None:
    tensors = {"a.bn.bn.bias": torch.zeros(1), "a.bn.bias": torch.zeros(2), "b.layers.0.bn.bn.x": torch.zeros(3)}
    tensors["b.0.bn.bn.x"] = torch.zeros(4)
    assert sorted(len(tensor) for tensor in specialised_names(tensors).values()) == [1, 2, 3, 4]


def test_what_does_not_fit_is_listed() -> None:
    tensors = _tensors(SPVCNN, width=0.5)
    tensors["head.weight"] = tensors.pop("classifier.0.bias")
    tensors["stage3.1.net.1.weight"] = torch.empty(65, device="meta")
    tensors["stage3.1.net.1.bias"] = torch.empty(64, dtype=torch.int8, device="meta")
    mismatch = recognise(tensors, "spvcnn").mismatch
    assert mismatch.missing == {"classifier.0.bias": "19"}
    assert mismatch.unexpected == {"head.weight": "19"}
    assert mismatch.reshaped == {"stage3.1.net.1.weight": ("64", "65"), "stage3.1.net.1.bias": ("64", "64 int8")}


@pytest.mark.parametrize(
    ("tensors", "model", "width", "expected"),
    [
        (_tensors(SPVCNN, width=0.5), "spvnas", None, "try --model minkunet --width 0.5, which fits"),
        (_tensors(SPVCNN, width=0.5), "spvcnn", 1.0, "try --model spvcnn --width 0.5, which fits"),
        (_tensors(SPVNAS, 5, SPACE.smallest), "minkunet", None, "try --model spvnas, which fits"),
        ({"backbone.weight": torch.zeros(3, 3)}, "minkunet", None, "another project"),
        (_tensors(SPVCNN) | {"stem.0.kernel": torch.zeros(125, 4, 32)}, "spvcnn", None, "was altered"),
        (_tensors(SPVCNN) | {"extra": torch.zeros(1)}, "spvnas", None, "--model minkunet --width 1 is nearer, but 1 "),
    ],
)
def test_advice(tensors: dict[str, torch.Tensor], model: str, width: float | None, expected: str) -> None:
    advice = advise(tensors, recognise(tensors, model, width))
    assert expected in advice
    assert advice.isprintable()


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 0), (1, 2, 3, 4)])
@pytest.mark.parametrize("model", ["spvcnn", "spvnas"])
def test_odd_shapes_are_a_mismatch(shape: tuple[int, ...], model: str) -> None:
    names = [
        "stem.0.kernel",
        "classifier.0.weight",
        "classifier.linear.weight",
        "upsample.0.transition.net.conv.kernel",
    ]
    mismatch = recognise({name: torch.zeros(shape) for name in names}, model).mismatch
    assert {*mismatch.unexpected, *mismatch.reshaped} == set(names)


def _net_config(architecture: SpvnasArchitecture) -> dict[str, Any]:
    """As the official code writes it."""
    values: dict[str, Any] = {"output_channels": [architecture.stem]}
    ways = [("downsample", architecture.down), ("upsample", architecture.up)]
    for name, stage in ((f"{way}.{step}", stage) for way, stages in ways for step, stage in enumerate(stages)):
        values[f"{name}.transition"], values[f"{name}.feature"] = stage.transition, len(stage.hidden)
        for block, hidden in enumerate(stage.hidden):
            values[f"{name}.feature.layers.{block}.net.layers.0"] = hidden
            values[f"{name}.feature.layers.{block}.net.layers.1"] = stage.out
    return values


def test_a_network_is_cut_out_of_the_supernet(tmp_path: Path) -> None:
    file = tmp_path / "net.config"
    wanted = SPACE.sample(np.random.default_rng(3))
    file.write_text(json.dumps(_net_config(wanted)))
    tensors = SPVNAS(5, SPACE.largest).state_dict()
    chosen = choose_network(recognise(tensors, "spvnas"), file)
    assert chosen.settings == SpvnasSettings(architecture=wanted)
    expected = specialise({name: tensor.numpy() for name, tensor in tensors.items()}, wanted, SPACE.largest, 5)
    assert chosen.tensors.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(chosen.tensors[name], array)
    specialised = recognise(chosen.tensors, "spvnas")
    assert choose_network(specialised, file) is specialised


def test_a_net_config_of_another_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "net.config").write_text(json.dumps(_net_config(SPACE.largest)))
    with pytest.raises(ConfigurationError, match="another network than the checkpoint holds"):
        choose_network(recognise(_tensors(SPVNAS, 5, SPACE.smallest), "spvnas"), tmp_path / "net.config")


NO_NET_CONFIGS = [
    *("", "{", "[]", "{}", "3", "null", "[" * 100_000, "\udcff"),
    json.dumps({"output_channels": []}),
    json.dumps(_net_config(SPACE.smallest) | {"downsample.0.transition": "wide"}),
    json.dumps(_net_config(SPACE.smallest) | {"upsample.3.feature": None}),
]


@pytest.mark.parametrize("text", NO_NET_CONFIGS, ids=range(len(NO_NET_CONFIGS)))
def test_a_file_that_is_no_net_config(text: str, tmp_path: Path) -> None:
    (tmp_path / "net.config").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ConfigurationError) as caught:
        read_net_config(tmp_path / "net.config", classifier=16)
    assert str(caught.value).isprintable()
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_net_config(tmp_path, classifier=16)


def test_a_width_that_is_given_is_taken() -> None:
    found = recognise(_tensors(SPVCNN, width=1.0), "spvcnn", width=0.5)
    assert found.settings == SpvcnnSettings(width=0.5)
    assert len(found.mismatch.reshaped) > 200

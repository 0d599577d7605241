"""FlatFormer against the official implementation, and what its cases do not hold."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from perception.bundle.detection import CenterDecoding, FlatFormerSettings
from perception.cli import main
from perception.configuration import ConfigurationError, parse_settings
from perception.models.flatformer import FlatFormer
from perception.nn.flat_attention import TokenSequences
from perception.nn.pillar_backends import DIFFERENTIABLE, NATIVE, REFERENCE
from perception.runtime.detections import Candidates, find_candidates, suppress

#: A detector of 8 x 8 m with few channels.
SMALL = FlatFormerSettings(
    range_m=(-4.0, -4.0, -2.0, 4.0, 4.0, 2.0),
    pillar_m=0.5,
    point_channels=4,
    point_layers=(8, 16),
    blocks=1,
    channels=16,
    heads=2,
    hidden=32,
    window=4,
    group_size=8,
    backbone_channels=(8, 8),
    backbone_layers=(1, 1),
    neck_channels=(8, 8),
    head_channels=8,
)


BLOCKS = pytest.mark.parametrize("block", ["plain", "lite"])


def small_network(block: str = "plain") -> FlatFormer:
    torch.manual_seed(0)
    return FlatFormer(SMALL.model_copy(update={"block": block}), 2).eval()


def cloud(points: int, seed: int = 0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy((rng.uniform(-1, 1, (points, 4)) * [3.9, 3.9, 1.9, 1]).astype(np.float32))


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize("name", ["detector", "encoder", "ops"])
def test_every_stage_of_every_case(shared: Path, name: str, backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    folder = shared / "golden" / "flatformer" / name
    assert main(["check-golden", str(folder), "--backend", backend]) == 0, capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "tensor", "stage"),
    [
        ("detector", "backbone.blocks.1.2.0.weight", "backbone_1"),
        ("encoder", "middle_encoder.block_list.1.block.2.norm1.weight", "layer 6"),
        ("encoder", "voxel_encoder.vfe_layers.0.norm.running_var", "vfe"),
        ("ops", "middle_encoder.block_list.0.block.3.fc2.bias", "w13_g144_block0"),
    ],
)
def test_a_spoilt_weight_is_traced_to_its_stage(
    shared: Path, tmp_path: Path, name: str, tensor: str, stage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "mine" / "case"
    shutil.copytree(shared / "golden" / "flatformer" / name, folder, copy_function=shutil.copyfile)
    spec = json.loads((folder / "spec.json").read_text())
    spec["tensors"][tensor] = spec["tensors"][tensor] | {"rule": "uniform:2:3"}
    spec["tensors"][tensor].pop("value", None)
    (folder / "spec.json").write_text(json.dumps(spec))
    assert main(["check-golden", str(folder)]) == 1
    assert f"first misses at {stage} " in capsys.readouterr().out


@BLOCKS
@pytest.mark.parametrize("counts", [(300, 200), (300, 0), (5, 300), (1, 1)])
def test_all_backends_agree(counts: tuple[int, ...], block: str) -> None:
    network, clouds = small_network(block), [cloud(count, seed) for seed, count in enumerate(counts)]
    with torch.inference_mode():
        native, plain, differentiable = (network(clouds, backend) for backend in (NATIVE, REFERENCE, DIFFERENTIABLE))
    for name, value in native.items():
        torch.testing.assert_close(value, plain[name], rtol=1e-4, atol=1e-5, msg=name)
        torch.testing.assert_close(value, differentiable[name], rtol=1e-4, atol=1e-5, msg=name)


@BLOCKS
def test_clouds_of_a_batch_do_not_meet(block: str) -> None:
    network, clouds = small_network(block), [cloud(300), cloud(0), cloud(200, 1), cloud(3, 2)]
    with torch.inference_mode():
        together = network.encode(clouds, REFERENCE).bev
        alone = torch.cat([network.encode([one], REFERENCE).bev for one in clouds])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-6)


def test_a_convolution_reaches_along_the_walk() -> None:
    network = small_network("lite")
    attention = network.middle_encoder.block_list[0].block[0].attn
    with torch.no_grad():
        places = network.encode([cloud(200)], REFERENCE).pillars
    where = TokenSequences(places.coords, places.counts, SMALL.grid_size, 4, 8, REFERENCE)
    x = torch.randn(len(places.coords), 16, requires_grad=True)
    local = attention(x, where, 0, network.middle_encoder.position)[:, 8:]
    order = where.order(0).long()
    local[order[20]].sum().backward()
    reached = torch.nonzero(x.grad[order].any(1)).flatten().tolist()
    assert reached == list(range(16, 25))
    assert not x.grad[:, :8].any()


@BLOCKS
@pytest.mark.parametrize("points", [0, 1, 3])
def test_clouds_of_few_points_give_whole_maps(points: int, block: str) -> None:
    with torch.inference_mode():
        maps = small_network(block)([cloud(points)])
    assert {name: tuple(value.shape) for name, value in maps.items()}["heatmap"] == (1, 2, 16, 16)
    assert all(torch.isfinite(value).all() for value in maps.values())


@BLOCKS
def test_every_parameter_learns(block: str) -> None:
    network = small_network(block).train()
    maps = network([cloud(300), cloud(200, 1)], DIFFERENTIABLE)
    sum((value**2).sum() for value in maps.values()).backward()
    without = [name for name, parameter in network.named_parameters() if parameter.grad is None]
    assert without == []


@BLOCKS
def test_a_layer_has_the_gradient_that_its_values_say(block: str) -> None:
    network = small_network(block).double()
    layers = network.middle_encoder.block_list[0]
    with torch.no_grad():
        encoded = network.float().encode([cloud(60)], REFERENCE)
    network.double()
    where = TokenSequences(encoded.pillars.coords, encoded.pillars.counts, SMALL.grid_size, 4, 8, REFERENCE)
    x = encoded.features[0].double().requires_grad_()
    position = network.middle_encoder.position.double()
    assert torch.autograd.gradcheck(lambda tokens: layers(tokens, where, position), (x,), fast_mode=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"block": "lite", "heads": 1}, "even number of heads, found 1"), ({"kernel_size": 4}, "must be odd, found 4")],
)
def test_blocks_that_cannot_be_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        parse_settings(FlatFormerSettings, SMALL.model_dump() | changes, "bundle.yaml")


def test_boxes_of_one_object_become_one() -> None:
    maps = {name: torch.zeros(1, channels, 16, 16) for name, channels in (("reg", 2), ("height", 1), ("dim", 3))}
    maps |= {"rot": torch.zeros(1, 2, 16, 16), "vel": torch.zeros(1, 2, 16, 16), "iou": torch.ones(1, 1, 16, 16)}
    maps["rot"][:, 1] = 1
    maps["dim"][:, :2] = float(np.log(2.0))
    maps["heatmap"] = torch.full((1, 2, 16, 16), -9.0)
    maps["heatmap"][0, 1, 8, 8:10] = torch.tensor([3.0, 2.0])
    decoding = CenterDecoding(center_range_m=(-4, -4, -2, 4, 4, 2), suppression=CenterDecoding().suppression[1:])
    candidates = find_candidates(maps, SMALL, decoding)[0]
    assert isinstance(candidates, Candidates)
    np.testing.assert_allclose(candidates.boxes[:, :2], [[0, 0], [0.5, 0]], atol=1e-6)
    kept = suppress(candidates, decoding)
    np.testing.assert_array_equal(kept.labels, [1])
    np.testing.assert_allclose(kept.boxes[0], [0, 0, 0, 2, 2, 1, 0, 0, 0], atol=1e-5)
    np.testing.assert_allclose(kept.scores, 1 / (1 + np.exp(-3.0)), rtol=1e-5)

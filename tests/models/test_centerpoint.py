"""CenterPoint: its sparse encoder and dense part against the official BEVFusion, and what the cases do not hold."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from perception.bundle.voxelnet import VoxelNetSettings, WindowSettings
from perception.cli import main
from perception.configuration import ConfigurationError, parse_settings
from perception.golden.cases import draw, load_case
from perception.golden.checks import relative_error
from perception.models.centerpoint import CenterPoint, make_encoder, mean_voxels
from perception.nn.backends import NATIVE, REFERENCE, Backend
from perception.nn.bev import PlainSecondBackbone, SecondNeck
from perception.nn.voxel_grids import GridLevel, GridTensor, Window
from perception.nn.voxelnet import GridConv3d, SparseBasicBlock, voxels_to_map

#: A detector of 8 x 6 m with few channels: a map of 16 x 12 cells and two layers of voxels.
SMALL = VoxelNetSettings(
    range_m=(-4.0, -3.0, -2.0, 4.0, 3.0, 2.0),
    voxel_m=(0.25, 0.25, 0.4),
    point_channels=4,
    voxel_points=3,
    channels=(4, 6),
    blocks=(1, 1),
    steps=(WindowSettings(padding=(1, 1, 0)),),
    output_channels=5,
    backbone_channels=(8, 8),
    backbone_layers=(1, 1),
    neck_channels=(8, 8),
    head_channels=8,
)
STEPS = {
    "padded": Window((3, 3, 3), (2, 2, 2), (1, 1, 1)),
    "open above": Window((3, 3, 3), (2, 2, 2), (1, 1, 0)),
    "z alone": Window((1, 1, 3), (1, 1, 2), (0, 0, 0)),
}


def drawn_network(settings: VoxelNetSettings = SMALL) -> CenterPoint:
    """A network whose norms do something."""
    torch.manual_seed(1)
    network = CenterPoint(settings, 2).eval()
    for name, tensor in network.state_dict().items():
        if name.endswith(("running_var", ".1.weight", "bn1.weight", "bn2.weight")) and tensor.ndim == 1:
            nn.init.uniform_(tensor, 0.5, 1.5)
        elif name.endswith(("running_mean", "bias")):
            nn.init.normal_(tensor, 0, 0.1)
    return network


def cloud(points: int, seed: int = 0) -> Tensor:
    """Points within the range of `SMALL`, near each other in places."""
    rng = np.random.default_rng(seed)
    places = rng.uniform(-1, 1, (points, 4)) ** 3 * [3.9, 2.9, 1.9, 1]
    return torch.from_numpy(places.astype(np.float32))


def voxels(backend: Backend, channels: int, count: int = 40, dtype: torch.dtype = torch.float32) -> GridTensor:
    """Drawn features on drawn voxels of two clouds in a grid of 7 x 6 x 5."""
    generator = torch.Generator().manual_seed(3)
    drawn = torch.stack([torch.randint(size, (count,), generator=generator) for size in (2, 7, 6, 5)], 1)
    coords = torch.unique(drawn, dim=0)
    coords = coords[torch.randperm(len(coords), generator=generator)].int().contiguous()
    features = torch.randn(len(coords), channels, generator=generator, dtype=torch.float64).to(dtype)
    return GridTensor(features, GridLevel(coords, (7, 6, 5), backend))


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_every_stage_of_the_official_encoder(shared: Path, backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    folder = shared / "golden" / "bevfusion" / "lidar_encoder"
    assert main(["check-golden", str(folder), "--backend", backend]) == 0, capsys.readouterr().out
    checked = set(re.findall(r"^  (\S+)", capsys.readouterr().out, re.M))
    ours = {name for name in load_case(folder, shared).outputs if not name.endswith((".indices", "num_points"))}
    assert checked == ours


def test_the_official_backbone_and_neck(shared: Path) -> None:
    case = load_case(shared / "golden" / "bevfusion" / "fusion_head_det", shared)
    weights = {name: torch.from_numpy(np.array(array)) for name, array in case.weights().items()}
    fuser = nn.Sequential(nn.Conv2d(336, 256, 3, padding=1, bias=False), nn.BatchNorm2d(256), nn.ReLU()).eval()
    backbone, neck = (
        PlainSecondBackbone(256, (128, 256), (5, 5)).eval(),
        SecondNeck((128, 256), (256, 256), True).eval(),
    )
    for prefix, part in {"fuser": fuser, "decoder.backbone": backbone, "decoder.neck": neck}.items():
        own = {name.removeprefix(f"{prefix}."): value for name, value in weights.items() if name.startswith(prefix)}
        part.load_state_dict(own)
    drawn = case.spec.more["drawn_inputs"]
    maps = [
        torch.from_numpy(draw(name, tuple(drawn[name]["shape"]), drawn[name]["rule"], case.spec.seed))
        for name in ("input.camera_bev", "input.lidar_bev")
    ]
    with torch.inference_mode():
        stages = backbone(fuser(torch.cat(maps, 1)))
        found = {"decoder_block0": stages[0], "decoder_block1": stages[1], "decoder_neck": neck(stages)}
    for name, value in found.items():
        steps = tuple(slice(None, None, step) for step in case.spec.more["outputs"][name]["steps"])
        assert relative_error(value.numpy()[steps], case.outputs[name]) < case.tolerance
        assert relative_error(value.numpy().std((0, 2, 3)), case.outputs[f"{name}.std"]) < case.tolerance


def test_the_defaults_are_the_official_grid() -> None:
    settings = VoxelNetSettings()
    shapes = [(1440, 1440, 41), (720, 720, 21), (360, 360, 11), (180, 180, 5), (180, 180, 2)]
    assert list(settings.shapes()) == shapes
    assert settings.map_channels == 256
    assert settings.grid_size == (180, 180)
    assert settings.cell_m == pytest.approx((0.6, 0.6))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"blocks": (1,)}, "one number for each stage"),
        ({"steps": ()}, "steps one less"),
        ({"backbone_layers": (1,)}, "as many stages"),
        ({"voxel_m": (0.25, 0.25, 4.0)}, "steps leave nothing of the grid"),
        ({"steps": ({"padding": (0, 1, 0)},)}, "map of 15 x 12 cells, but range_m holds 16 x 12 of 0.5 x 0.5 m"),
        ({"steps": ({"stride": (0, 1, 1)},)}, "steps.0.stride.0"),
        ({"voxel_m": (0.25, -0.25, 0.4)}, "voxel_m.1"),
    ],
)
def test_settings_that_make_no_map_are_refused(changes: dict[str, object], expected: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_settings(VoxelNetSettings, SMALL.model_dump() | changes, "tiny.yaml")
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("counts", [(0,), (1,), (500,), (300, 0, 200)])
def test_kernels_compute_what_the_reference_does(counts: tuple[int, ...]) -> None:
    network, clouds = drawn_network(), [cloud(count, seed) for seed, count in enumerate(counts)]
    with torch.inference_mode():
        native, plain = (network(clouds, backend) for backend in (NATIVE, REFERENCE))
    assert native["heatmap"].shape == (len(counts), 2, 12, 16)
    for name, value in native.items():
        assert torch.isfinite(value).all()
        torch.testing.assert_close(value, plain[name], rtol=1e-4, atol=1e-5, msg=name)


def test_clouds_of_a_batch_do_not_meet() -> None:
    network, clouds = drawn_network(), [cloud(200), cloud(300, 1)]
    with torch.inference_mode():
        together, alone = network(clouds), network(clouds[1:])
    for name, value in alone.items():
        torch.testing.assert_close(together[name][1:], value, rtol=1e-4, atol=1e-5, msg=name)


def test_a_sparse_step_is_a_dense_convolution_where_there_are_voxels() -> None:
    for window in STEPS.values():
        torch.manual_seed(0)
        layer, tensor = GridConv3d(3, 4, window), voxels(NATIVE, 3)
        found = layer(tensor)
        dense = tensor.features.new_zeros(2, 3, 7, 6, 5)
        batch, *place = torch.as_tensor(tensor.level.coords).long().unbind(1)
        dense.permute(0, 2, 3, 4, 1)[(batch, *place)] = tensor.features
        weight = layer.weight.permute(4, 3, 0, 1, 2)
        expected = nn.functional.conv3d(dense, weight, stride=window.stride, padding=window.padding)
        assert found.level.shape == tuple(expected.shape[2:])
        batch, *place = torch.as_tensor(found.level.coords).long().unbind(1)
        torch.testing.assert_close(
            found.features, expected.permute(0, 2, 3, 4, 1)[(batch, *place)], rtol=1e-4, atol=1e-5
        )
        occupied = nn.functional.conv3d(
            (dense != 0).any(1, keepdim=True).float(),
            torch.ones(1, 1, *window.size),
            stride=window.stride,
            padding=window.padding,
        )
        assert len(found.features) == int((occupied > 0).sum())


def test_layers_of_voxels_become_channels() -> None:
    tensor = voxels(NATIVE, 3)
    maps, turned = voxels_to_map(tensor, 2), voxels_to_map(tensor, 2, x_first=True)
    assert maps.shape == (2, 15, 6, 7)
    assert torch.equal(maps, turned.transpose(2, 3))
    for feature, (batch, x, y, z) in zip(tensor.features, torch.as_tensor(tensor.level.coords).tolist(), strict=True):
        assert torch.equal(maps[batch, z::5, y, x], feature)
    assert int((maps != 0).sum()) == tensor.features.numel()


@pytest.mark.parametrize("name", [*STEPS, "block"])
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    torch.manual_seed(0)
    layer = SparseBasicBlock(2).eval() if name == "block" else GridConv3d(2, 3, STEPS[name])
    tensor = voxels(REFERENCE, 2, 12, torch.float64)
    parameters = [parameter.data.double().requires_grad_() for parameter in layer.parameters()]
    names = [own for own, _ in layer.named_parameters()]

    def run(features: Tensor, *values: Tensor) -> Tensor:
        given = dict(zip(names, values, strict=True))
        result: Tensor = torch.func.functional_call(layer.double(), given, (tensor.with_features(features),)).features
        return result

    assert torch.autograd.gradcheck(run, (tensor.features.requires_grad_(), *parameters))


def test_gradients_of_the_kernels_are_those_of_the_reference() -> None:
    clouds, gradients = [cloud(300), cloud(200, 1)], []
    for backend in (NATIVE, REFERENCE):
        network = drawn_network().train()
        sum((value**2).sum() for value in network(clouds, backend).values()).backward()
        gradients.append({name: parameter.grad for name, parameter in network.named_parameters()})
    for name, wanted in gradients[1].items():
        found = gradients[0][name]
        assert found is not None, f"{name} does not learn"
        assert (found - wanted).norm() < 1e-3 * wanted.norm(), name


def test_voxels_beyond_the_capacities_are_left_out() -> None:
    settings = SMALL.model_copy(update={"voxels": 20})
    points = cloud(400)
    for backend in (NATIVE, REFERENCE):
        found = mean_voxels([points], settings, backend)
        assert len(found.features) == 20
        first = (points[:, :3] - torch.tensor(SMALL.range_m[:3])) // torch.tensor(SMALL.voxel_m)
        own = points[(first == first[0]).all(1)][: SMALL.voxel_points]
        torch.testing.assert_close(found.features[0], own.mean(0))


def test_names_of_the_encoder_are_the_official_ones() -> None:
    names = set(make_encoder(SMALL).state_dict())
    for name in ("conv_input.0.weight", "encoder_layers.encoder_layer1.0.conv2.weight", "conv_out.1.running_var",
                 "encoder_layers.encoder_layer1.1.0.weight", "encoder_layers.encoder_layer2.0.bn1.bias"):  # fmt: skip
        assert name in names

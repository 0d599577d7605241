"""Golden cases of BEVFusion's parts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from perception.bundle.voxelnet import VoxelNetSettings
from perception.golden.cases import Array, GoldenCase
from perception.golden.checks import EXACT, Check
from perception.golden.executions import Execution, to_numpy
from perception.models.centerpoint import make_encoder, mean_voxels
from perception.models.checkpoints import load_weights
from perception.nn.voxel_grids import GridTensor
from perception.nn.voxelnet import SparseEncoder, voxels_to_map
from perception.ops import CoordinateHash

PREFIX = "encoders.lidar.backbone."
#: Modules of the encoder whose outputs the case holds statistics of.
STAGES = ("conv_input", *(f"encoder_layers.encoder_layer{number}" for number in (1, 2, 3, 4)), "conv_out")
LIDAR = "nuscenes_sample/n015-2018-07-24-11-22-45+0800__LIDAR_TOP__1532402927647951.pcd.bin"


def check_lidar_encoder(case: GoldenCase, execution: Execution) -> Iterator[Check]:
    """Voxels and their means, every stage of the sparse encoder, and the map."""
    settings = VoxelNetSettings()
    encoder = make_encoder(settings)
    weights = {name.removeprefix(PREFIX): torch.from_numpy(array) for name, array in case.weights().items()}
    load_weights(encoder, weights, case.folder)
    encoder.to(execution.device).eval()
    with torch.inference_mode():
        voxels = mean_voxels([execution.tensor(sweep(case, settings))], settings, execution.backend)
        stages, output = _stages(encoder, voxels)
        bev = to_numpy(voxels_to_map(output, 1, x_first=True))
    yield Check("voxel_coords", to_numpy(voxels.level.coords)[:, 1:], case.outputs["voxel_coords"], EXACT)
    yield Check("voxel_features", to_numpy(voxels.features), case.outputs["voxel_features"], case.tolerance)
    for stage in STAGES:
        yield from _statistics(case, stage.rpartition(".")[2], stages[stage])
    yield _sites(case, "encoder_layer4", stages["encoder_layers.encoder_layer4"])
    steps = tuple(slice(None, None, step) for step in case.spec.more["outputs"]["lidar_bev"]["steps"])
    yield Check("lidar_bev", bev[steps], case.outputs["lidar_bev"], case.tolerance)
    for name, values in {"mean": bev.mean((0, 2, 3), np.float64), "std": bev.std((0, 2, 3), dtype=np.float64)}.items():
        yield Check(f"lidar_bev.{name}", values, case.outputs[f"lidar_bev.{name}"], case.tolerance)


def sweep(case: GoldenCase, settings: VoxelNetSettings) -> Array:
    """The real sweep that the case was made from, with a time of 0, points strictly within the range."""
    points = np.fromfile(case.sample(LIDAR), np.float32).reshape(-1, 5)
    points[:, 4] = 0
    low, high = np.asarray(settings.range_m, np.float32).reshape(2, 3)
    return points[((points[:, :3] > low) & (points[:, :3] < high)).all(1)]


def _stages(encoder: SparseEncoder, voxels: GridTensor) -> tuple[dict[str, GridTensor], GridTensor]:
    """What each stage gives, and the last of it."""
    found: dict[str, GridTensor] = {}
    for name in STAGES:
        encoder.get_submodule(name).register_forward_hook(lambda _m, _i, output, n=name: found.update({n: output}))
    return found, encoder(voxels)


def _statistics(case: GoldenCase, name: str, tensor: GridTensor) -> Iterator[Check]:
    features = to_numpy(tensor.features)
    yield Check(f"{name}.count", np.array(len(features)), case.outputs[f"{name}.count"], EXACT)
    yield Check(f"{name}.mean", features.mean(0, np.float64), case.outputs[f"{name}.mean"], case.tolerance)
    yield Check(f"{name}.std", features.std(0, dtype=np.float64), case.outputs[f"{name}.std"], case.tolerance)


def _sites(case: GoldenCase, name: str, tensor: GridTensor) -> Check:
    """The features at the stored sites, every third channel; NaN at a site that is not there."""
    sites = case.outputs[f"{name}.indices"].astype(np.int32)
    rows = CoordinateHash(to_numpy(tensor.level.coords)).query(np.insert(sites, 0, 0, axis=1))
    features = np.where(rows[:, None] >= 0, to_numpy(tensor.features)[rows], np.nan)
    return Check(f"{name}.features", features[:, ::3], case.outputs[f"{name}.features"], case.tolerance)

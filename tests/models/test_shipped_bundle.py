"""The bundles of voxel networks in the repository: small, documented, and as good as they say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from perception.bundle.format import WEIGHTS_FILE, SpvnasSettings, load_description
from perception.bundle.supernet import SupernetSpace, specialise
from perception.classes import SEMANTIC_KITTI_CLASSES
from perception.data.simulation import simulate_drive
from perception.evaluation.metrics.confusion import ConfusionMatrix
from perception.models.checkpoints import load_weights
from perception.models.spvnas import SPVNAS
from perception.runtime import Engine, load_engine

#: Bytes of weights at most, and mean IoU at least, that a bundle's description promises.
PROMISES = {"spvcnn_street": (5_000_000, 0.7), "spvnas_street": (8_500_000, 0.8)}


@pytest.fixture(scope="module", params=PROMISES)
def folder(request: pytest.FixtureRequest, top: Path) -> Path:
    return top / "config" / "models" / str(request.param)


@pytest.fixture(scope="module")
def engine(folder: Path) -> Engine:
    return load_engine(folder)


def test_it_is_small(folder: Path) -> None:
    assert (folder / WEIGHTS_FILE).stat().st_size < PROMISES[folder.name][0]


def test_it_says_where_it_comes_from(engine: Engine, folder: Path) -> None:
    description = engine.description
    assert description.classes == SEMANTIC_KITTI_CLASSES
    assert description.license == "Apache-2.0"
    assert description.origin.startswith(f"perception train {folder.name}")
    assert float(description.measured["mean_iou"]) >= PROMISES[folder.name][1]


@pytest.mark.parametrize("seed", [4, 31])
def test_it_labels_drives_that_training_never_saw(engine: Engine, seed: int) -> None:
    confusion = ConfusionMatrix(len(SEMANTIC_KITTI_CLASSES))
    for moment in simulate_drive(seed=seed, sensor="hdl64e", frames=1):
        assert moment.class_ids is not None
        confusion.add(moment.class_ids, engine.forward(moment.frame).class_ids)
    assert confusion.accuracy() > 0.8
    assert confusion.mean_iou() > 0.55


def test_networks_are_cut_out_of_the_supernet_without_pytorch(top: Path) -> None:
    folder = top / "config" / "models" / "spvnas_street"
    description = load_description(folder)
    assert isinstance(description.network, SpvnasSettings)
    assert description.supernet is not None
    space = SupernetSpace(largest=description.network.architecture, **description.supernet.model_dump())
    network = space.sample(np.random.default_rng(0))
    classes = len(description.classes)
    tensors = specialise(load_file(folder / WEIGHTS_FILE), network, space.largest, classes)
    weights = {name: torch.from_numpy(tensor.astype(np.float32)) for name, tensor in tensors.items()}
    load_weights(SPVNAS(classes, network), weights, folder)

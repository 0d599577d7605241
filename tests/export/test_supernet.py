"""Networks cut out of the shipped supernet, of any depth and width, export like any other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from perception.bundle.format import WEIGHTS_FILE, SpvnasSettings, load_description
from perception.bundle.supernet import SupernetSpace, specialise
from perception.export.exporter import Source, export_network
from perception.models.checkpoints import load_weights
from perception.models.spvnas import SPVNAS


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_network_of_the_supernet(seed: int, top: Path, tmp_path: Path) -> None:
    folder = top / "config" / "models" / "spvnas_street"
    description = load_description(folder)
    assert isinstance(description.network, SpvnasSettings)
    assert description.supernet is not None
    space = SupernetSpace(largest=description.network.architecture, **description.supernet.model_dump())
    architecture = space.sample(np.random.default_rng(seed))
    classes = len(description.classes)
    tensors = specialise(load_file(folder / WEIGHTS_FILE), architecture, space.largest, classes)
    network = SPVNAS(classes, architecture)
    weights = {name: torch.from_numpy(tensor.astype(np.float32)) for name, tensor in tensors.items()}
    load_weights(network, weights, folder)
    values = description.model_dump(exclude={"weights_sha256", "files", "supernet"})
    values["network"] = {"model": "spvnas", "architecture": architecture.model_dump()}
    exported = export_network(Source(network, values, half=True), tmp_path / "bundle")
    blocks = sum(len(stage.hidden) for stage in (*architecture.down, *architecture.up))
    convolutions = [operation for operation in exported.graph.operations if operation.op == "sparse_convolution"]
    assert len(convolutions) == 2 + 4 + 2 * blocks
    assert exported.comparison.scores.error < 1e-4

"""A FlatFormer checkpoint is recognised by its names and shapes."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from perception.bundle.detection import FlatFormerSettings
from perception.models.flatformer import FlatFormer
from perception.models.published import MODELS, advise, recognise
from perception.models.published_flatformer import HEATMAP

#: What shapes tell, all of it other than the official's.
ALTERED = {
    "point_channels": 6,
    "point_layers": (32, 48, 64),
    "blocks": 3,
    "channels": 64,
    "hidden": 96,
    "backbone_channels": (24, 32, 40),
    "backbone_layers": (1, 0, 2),
    "neck_channels": (8, 16, 24),
    "head_channels": 20,
}


def tensors_of(classes: int = 3, **settings: Any) -> dict[str, torch.Tensor]:
    with torch.device("meta"):
        return FlatFormer(FlatFormerSettings(**settings), classes).state_dict()


@pytest.mark.parametrize("settings", [{}, ALTERED, {"blocks": 0}, {"point_layers": (128,)}])
@pytest.mark.parametrize("classes", [3, 7])
def test_it_is_read_off_the_shapes(settings: dict[str, Any], classes: int) -> None:
    found = recognise(tensors_of(classes, **settings), "flatformer")
    assert found.settings == FlatFormerSettings(**settings)
    assert found.classes == classes
    assert not found.mismatch


def test_what_does_not_fit_is_listed() -> None:
    tensors = tensors_of()
    tensors["head.weight"] = tensors.pop("backbone.blocks.1.2.0.weight")
    tensors["middle_encoder.block_list.1.block.2.fc1.bias"] = torch.empty(255, device="meta")
    found = recognise(tensors, "flatformer")
    assert "backbone.blocks.1.3.0.weight" in found.mismatch.unexpected
    assert found.mismatch.unexpected["head.weight"] == "128x128x3x3"
    assert found.mismatch.reshaped == {"middle_encoder.block_list.1.block.2.fc1.bias": ("256", "255")}


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 0), (1, 2, 3, 4), (0, 5), (48, 48)])
def test_odd_shapes_are_a_mismatch(shape: tuple[int, ...]) -> None:
    names = [
        "voxel_encoder.vfe_layers.0.linear.weight",
        "middle_encoder.block_list.0.block.0.fc1.weight",
        "backbone.blocks.0.0.0.weight",
        "neck.deblocks.0.0.weight",
        "bbox_head.shared_conv.conv.weight",
        HEATMAP,
    ]
    found = recognise(dict.fromkeys(names, torch.zeros(shape)), "flatformer")
    assert len(found.mismatch) > 10
    assert found.settings.heads == 8


def test_advice_names_the_model_that_fits() -> None:
    tensors = tensors_of()
    assert "try --model flatformer, which fits" in advise(tensors, recognise(tensors, "spvcnn"))
    assert "flatformer" in MODELS

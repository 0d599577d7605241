"""Losses of a centre head against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from perception.bundle.detection import HEAD_MAPS, FlatFormerSettings
from perception.runtime.detections import MAP_NAMES, box_coding
from perception.training.detection.losses import CenterTruth, box_loss, center_losses, decoded, focal_loss
from perception.training.detection.targets import HeatSettings, TruthBoxes, center_targets

MAP = FlatFormerSettings(range_m=(-4.0, -4.0, -2.0, 4.0, 4.0, 4.0), pillar_m=0.5, drop_first=False)
BOXES = np.array([[1.3, -2.1, 0.5, 2.0, 1.0, 1.5, 0.4, 1, 2], [-3, 3, 0, 1, 1, 1, 1, np.nan, np.nan]], np.float32)


def truth_of(*clouds: np.ndarray) -> CenterTruth:
    truth = [TruthBoxes(rows, np.zeros(len(rows), np.int64)) for rows in clouds]
    targets = center_targets(truth, box_coding(MAP), MAP.grid_size, 2, HeatSettings())
    return CenterTruth(*(torch.from_numpy(part) for part in targets))


def maps(batches: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    channels = {**HEAD_MAPS, "heatmap": 2}
    return {name: torch.randn(batches, width, 16, 16).requires_grad_() for name, width in channels.items()}


def test_focal_loss_by_hand() -> None:
    logits = torch.tensor([0.0, np.log(3.0), -np.log(3.0), 0.0]).reshape(1, 1, 2, 2)
    heatmap = torch.tensor([1.0, 0.5, 0.0, 1.0]).reshape(1, 1, 2, 2)
    center = -np.log(0.5) * 0.5**2
    near = -np.log(0.25) * 0.75**2 * 0.5**4
    far = -np.log(0.75) * 0.25**2
    assert focal_loss(logits, heatmap).item() == pytest.approx((2 * center + near + far) / 2, rel=1e-6)
    assert focal_loss(logits, heatmap.clamp(max=0.5)).item() > 0  # no centre: divided by 1


def test_focal_loss_of_certain_logits_is_finite() -> None:
    logits = torch.tensor([200.0, -200.0, 200.0, -200.0]).reshape(1, 1, 2, 2).requires_grad_()
    loss = focal_loss(logits, torch.tensor([1.0, 0.0, 0.0, 1.0]).reshape(1, 1, 2, 2))
    assert loss.item() == pytest.approx(400 / 2)
    loss.backward()
    assert torch.isfinite(logits.grad).all()


def test_box_loss_weighs_columns_and_passes_over_the_unknown() -> None:
    codes = torch.tensor([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]], requires_grad=True)
    truth = torch.tensor([[0.0, 4.0, torch.nan], [1.0, 0.0, 5.0]])
    loss = box_loss(codes, truth, torch.tensor([1.0, 0.5, 0.2]))
    assert loss.item() == pytest.approx((1 + 2 * 0.5 + 1 + 5 * 0.2) / 2)
    loss.backward()
    np.testing.assert_allclose(codes.grad, [[0.5, -0.25, 0], [-0.5, 0, -0.1]])


def test_the_quality_learns_the_overlap_of_the_decoded_box() -> None:
    truth = truth_of(BOXES)
    own = {name: value.detach() for name, value in maps(1).items()}
    codes = truth.codes.nan_to_num()
    codes[0, 0] += 0.5 / 0.5 * np.cos(0.4)  # half a metre along its length of 2 m
    codes[0, 1] += 0.5 / 0.5 * np.sin(0.4)
    start = 0
    for name, width in zip(MAP_NAMES, (2, 1, 3, 2, 2), strict=True):
        own[name].flatten(2)[0][:, truth.cells] = codes[:, start : start + width].T
        start += width
    own["iou"].flatten(2)[0, 0, truth.cells] = torch.tensor([0.5, 0.25])
    losses = center_losses(own, truth, box_coding(MAP), 1.0)
    assert losses.iou.item() == pytest.approx(((1.5 / 2.5 - 0.5) + (1 - 0.25)) / 2, rel=1e-4)
    assert losses.box.item() == pytest.approx((np.cos(0.4) + np.sin(0.4)) / 2, rel=1e-4)


def test_codes_say_the_boxes_that_they_were_made_from() -> None:
    truth = truth_of(BOXES, BOXES[:1])
    boxes = decoded(truth.codes.nan_to_num(), truth.cells, (2, 2, 16, 16), box_coding(MAP))
    np.testing.assert_allclose(boxes, np.concatenate([BOXES, BOXES[:1]])[:, :7], atol=1e-5)


def test_velocities_can_be_left_out() -> None:
    truth, own = truth_of(BOXES), maps(1)
    center_losses(own, truth, box_coding(MAP), 0.0).box.backward()
    assert own["vel"].grad is None or not own["vel"].grad.any()
    assert own["dim"].grad.any()


@pytest.mark.parametrize("clouds", [(BOXES[:0],), (BOXES[:0], BOXES)])
def test_gradients_of_empty_frames_are_finite(clouds: tuple[np.ndarray, ...]) -> None:
    own = maps(len(clouds))
    losses = center_losses(own, truth_of(*clouds), box_coding(MAP), 0.2)
    sum(losses).backward()
    assert all(torch.isfinite(value.grad).all() for value in own.values() if value.grad is not None)
    assert own["heatmap"].grad.any()
    if len(clouds) == 1:
        assert losses.box.item() == losses.iou.item() == 0

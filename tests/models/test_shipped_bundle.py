"""The bundle in the repository: small, documented, and as good as it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from perception.bundle.format import WEIGHTS_FILE
from perception.classes import SEMANTIC_KITTI_CLASSES
from perception.data.simulation import simulate_drive
from perception.evaluation.metrics import ConfusionMatrix
from perception.runtime import Engine, load_engine


@pytest.fixture(scope="module")
def folder(top: Path) -> Path:
    return top / "config" / "models" / "spvcnn_street"


@pytest.fixture(scope="module")
def engine(folder: Path) -> Engine:
    return load_engine(folder)


def test_it_is_small(folder: Path) -> None:
    assert (folder / WEIGHTS_FILE).stat().st_size < 5_000_000


def test_it_says_where_it_comes_from(engine: Engine) -> None:
    description = engine.description
    assert description.classes == SEMANTIC_KITTI_CLASSES
    assert description.license == "Apache-2.0"
    assert description.origin.startswith("perception train spvcnn_street")
    assert float(description.measured["mean_iou"]) >= 0.7


@pytest.mark.parametrize("seed", [4, 31])
def test_it_labels_drives_that_training_never_saw(engine: Engine, seed: int) -> None:
    confusion = ConfusionMatrix(len(SEMANTIC_KITTI_CLASSES))
    for moment in simulate_drive(seed=seed, sensor="hdl64e", frames=1):
        assert moment.class_ids is not None
        confusion.add(moment.class_ids, engine.forward(moment.frame).class_ids)
    assert confusion.accuracy() > 0.8
    assert confusion.mean_iou() > 0.55

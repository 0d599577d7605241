"""The detectors in the repository: small, documented, and as good as they say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from perception.bundle.format import WEIGHTS_FILE
from perception.data.boxes import chosen, points_inside
from perception.data.simulation import simulate_drive
from perception.evaluation.metrics.detection import DetectionMetrics
from perception.runtime.starting import load_engine

#: Average precision on the validation's drives, at least, that a bundle's description promises: of cars, pedestrians.
PROMISES = {"flatformer_street": (0.60, 0.45), "pointpillars_street": (0.60, 0.45)}
UNSEEN_SEEDS = range(31, 35)
#: The precision on so few drives scatters: this share of what is promised is expected of them.
SHARE = 0.75
MOST_BYTES, LEAST_POINTS, RANGE_M = 8_000_000, 5, 50.0


@pytest.fixture(scope="module", params=PROMISES)
def folder(request: pytest.FixtureRequest, top: Path) -> Path:
    return top / "config" / "models" / str(request.param)


@pytest.fixture(scope="module")
def engine(folder: Path) -> Any:
    return load_engine(folder)


def test_it_is_small_and_says_where_it_comes_from(engine: Any, folder: Path) -> None:
    assert (folder / WEIGHTS_FILE).stat().st_size < MOST_BYTES
    assert engine.description.license == "Apache-2.0"
    assert engine.description.origin.startswith(f"perception train {folder.name}")


def test_it_was_measured_to_be_good_enough(engine: Any, folder: Path) -> None:
    measured = engine.description.measured
    for name, promised in zip(("car", "pedestrian"), PROMISES[folder.name], strict=True):
        assert float(measured[f"ap.{name}"]) >= promised


def test_it_finds_objects_of_drives_that_training_never_saw(engine: Any, folder: Path) -> None:
    metrics = DetectionMetrics(engine.description.classes, RANGE_M)
    for seed in UNSEEN_SEEDS:
        for moment in simulate_drive(seed=seed, sensor="hdl64e", frames=1):
            assert moment.objects is not None
            shown = points_inside(moment.frame.cloud.points, moment.objects) >= LEAST_POINTS
            metrics.add(chosen(moment.objects, shown), engine.forward(moment.frame).boxes)
    found = dict(zip(metrics.class_names, metrics.average_precisions().mean(axis=1), strict=True))
    for name, promised in zip(("car", "pedestrian"), PROMISES[folder.name], strict=True):
        assert found[name] >= SHARE * promised


def test_the_transformer_pays_off(top: Path) -> None:
    """The measured mAP of FlatFormer, on the same drives, is not below that of PointPillars."""
    measured = {name: load_engine(top / "config" / "models" / name).description.measured for name in PROMISES}
    assert measured["flatformer_street"]["on"] == measured["pointpillars_street"]["on"]
    assert measured["flatformer_street"]["map"] >= measured["pointpillars_street"]["map"]

"""The self-check of a detector: what counts as the same boxes, and what a bundle is refused for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perception.bundle.files import BundleFiles
from perception.bundle.format import DESCRIPTION_FILE, DetectionDescription, read_any_description
from perception.configuration import ConfigurationError
from perception.paths import find_bundle
from perception.runtime import load_engine
from perception.runtime.dense.half_precision import convert_to_half
from perception.runtime.dense.region import load_region
from perception.runtime.detection_check import compare_boxes, detection_check, detection_check_file
from perception.runtime.executor import GraphExecutor
from perception.runtime.self_check import SELF_CHECK_FILE, TASKS, run_self_check
from perception.runtime.timing import StageTimer
from perception.types import Boxes3D, DetectedObjects, Frame
from tests.bundle.detector_graphs import write_checked_detector, write_detector
from tests.bundle.graphs import CLASSES

MIN_SCORE = 0.05
COUNT = 20


def boxes(**changes: Any) -> Boxes3D:
    """Twenty cars in a row whose scores fall from 0.9."""
    row = np.arange(COUNT, dtype=np.float32)
    values = {
        "centers": np.stack([3 * row, row, np.zeros(COUNT)], 1).astype(np.float32),
        "sizes": np.tile(np.array([4, 2, 1.5], np.float32), (COUNT, 1)),
        "yaws": np.linspace(-3.1, 3.1, COUNT, dtype=np.float32),
        "class_names": ("car",) * COUNT,
        "scores": np.linspace(0.9, 0.2, COUNT, dtype=np.float32),
        "velocities": np.zeros((COUNT, 2), np.float32),
    }
    return Boxes3D(**(values | changes))


def taken(found: Boxes3D, rows: slice) -> Boxes3D:
    parts = (found.centers, found.sizes, found.yaws, found.class_names, found.scores, found.velocities)
    return Boxes3D(*(part[rows] for part in parts))


@pytest.fixture
def description(tmp_path: Path) -> DetectionDescription:
    found = read_any_description(BundleFiles(write_detector(tmp_path / "described"), DESCRIPTION_FILE))
    assert isinstance(found, DetectionDescription)
    return found


def wanted(description: DetectionDescription, **changes: Any) -> dict[str, Any]:
    tensors = detection_check(np.zeros((5, 4), np.float32), boxes(**changes), description)
    assert tensors is not None
    return tensors


def test_the_same_boxes_agree(description: DetectionDescription) -> None:
    assert compare_boxes(boxes(), wanted(description), description) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("name", "small", "large"),
    [("centers", 0.1, 0.3), ("sizes", 0.1, 0.5), ("yaws", 0.1, 0.3), ("scores", 0.04, 0.06), ("velocities", 0.3, 1.0)],
)
def test_rounding_agrees_and_something_else_does_not(
    description: DetectionDescription, name: str, small: float, large: float
) -> None:
    moved, others = (boxes(**{name: getattr(boxes(), name) + by}) for by in (small, large))
    assert compare_boxes(moved, wanted(description), description)[0] == 1.0
    assert compare_boxes(others, wanted(description), description)[0] < 0.5


def test_a_turn_across_half_a_circle_is_small(description: DetectionDescription) -> None:
    turned = boxes(yaws=np.full(COUNT, np.pi - 0.02, np.float32))
    back = wanted(description, yaws=np.full(COUNT, -np.pi + 0.02, np.float32))
    assert compare_boxes(turned, back, description)[0] == 1.0


def test_other_classes_do_not_agree(description: DetectionDescription) -> None:
    others = boxes(class_names=(CLASSES[1],) * COUNT)
    assert compare_boxes(others, wanted(description), description) == (0.0, 0.0)


def test_boxes_that_are_lost_or_made_up_count(description: DetectionDescription) -> None:
    half = taken(boxes(), slice(0, COUNT, 2))
    assert compare_boxes(half, wanted(description), description)[0] == pytest.approx(2 / 3)
    few = wanted(description) | {name: wanted(description)[name][::2] for name in ("boxes", "scores", "class_ids")}
    assert compare_boxes(boxes(), few, description)[0] == pytest.approx(2 / 3)
    assert compare_boxes(taken(boxes(), slice(0, 0)), wanted(description), description)[0] == 0


def test_boxes_near_the_smallest_score_are_no_evidence(description: DetectionDescription) -> None:
    scores = boxes().scores.copy()
    scores[10:] = MIN_SCORE + 0.01
    without = taken(boxes(scores=scores), slice(0, 10))
    assert compare_boxes(without, wanted(description, scores=scores), description) == (1.0, 0.0)
    assert (
        detection_check(np.zeros((5, 4), np.float32), taken(boxes(scores=scores), slice(10, None)), description) is None
    )


class _Finder:
    """Gives the same boxes for every cloud."""

    def __init__(self, description: DetectionDescription, found: Boxes3D, files: dict[str, str]) -> None:
        self.description = description.model_copy(update={"files": files})
        self.found = found

    def warm_up(self) -> None:
        raise AssertionError("the self-check needs none")

    def update(self, calibration: Any) -> None:
        raise AssertionError("the self-check has none")

    def forward(self, frame: Frame) -> DetectedObjects:
        assert frame.cloud.points.shape == (5, 4)
        return DetectedObjects(self.found)

    def close(self) -> None:
        raise AssertionError("the caller does that")


def finder(folder: Path, description: DetectionDescription, found: Boxes3D, **tensors: Any) -> _Finder:
    kept = {name: value for name, value in (wanted(description) | tensors).items() if value is not None}
    content = detection_check_file(kept)
    (folder / SELF_CHECK_FILE).write_bytes(content)
    return _Finder(description, found, {SELF_CHECK_FILE: hashlib.sha256(content).hexdigest()})


def test_a_detector_that_works_passes(tmp_path: Path, description: DetectionDescription) -> None:
    result = run_self_check(finder(tmp_path, description, boxes()), tmp_path)
    assert result is not None
    assert (result.points, result.agreement, result.largest_difference) == (5, 1.0, 0.0)


def test_one_box_in_ten_may_be_another(tmp_path: Path, description: DetectionDescription) -> None:
    centers = boxes().centers.copy()
    centers[:2, 2] += 1
    assert run_self_check(finder(tmp_path, description, boxes(centers=centers)), tmp_path) is not None
    centers[2, 2] += 1
    with pytest.raises(ConfigurationError, match=r"85.00 % of the boxes agree \(at least 90 % must\)"):
        run_self_check(finder(tmp_path, description, boxes(centers=centers)), tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"points": None},
        {"boxes": None},
        {"points": np.zeros((5, 5), np.float32)},
        {"boxes": np.ones((COUNT, 7), np.float32)},
        {"boxes": np.ones((COUNT - 1, 9), np.float32)},
        {"boxes": np.full((COUNT, 9), np.nan, np.float32)},
        {"scores": np.ones(COUNT, np.float16)},
        {"class_ids": np.zeros(COUNT, np.int64)},
        {"scores": np.full(COUNT, 0.06, np.float32)},
        {"boxes": np.ones((3000, 9), np.float32), "scores": np.ones(3000, np.float32),
         "class_ids": np.zeros(3000, np.uint8)},
    ],
)  # fmt: skip
def test_a_wrong_file_is_one_sentence(
    tmp_path: Path, description: DetectionDescription, changes: dict[str, Any]
) -> None:
    with pytest.raises(ConfigurationError, match=r"export (the bundle|it) again$") as caught:
        run_self_check(finder(tmp_path, description, boxes(), **changes), tmp_path)
    assert SELF_CHECK_FILE in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_bundle_passes_where_it_was_exported(tmp_path: Path) -> None:
    folder = write_checked_detector(tmp_path)
    result = run_self_check(load_engine(folder, threads=1), folder)
    assert result is not None
    assert (result.agreement, result.largest_difference) == (1.0, 0.0)


#: From the values that an executor gives to other maps.
Change = Callable[[dict[str, np.ndarray]], np.ndarray]


class _Changed:
    """Stands for the executor of an engine, and changes the maps that its graph gives."""

    def __init__(self, executor: GraphExecutor, change: Change, keep: str) -> None:
        self._executor, self._change, self._keep = executor, change, keep

    def run(self, inputs: dict[str, np.ndarray], timer: StageTimer) -> dict[str, np.ndarray]:
        return {"maps": self._change(self._executor.run(inputs, timer, keep=[self._keep]))}


@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch) -> Callable[..., float]:
    """The shipped FlatFormer's agreement with its self-check after a change of its maps."""
    folder = find_bundle("flatformer_street")
    engine = load_engine(folder, threads=1)
    lenient = {"detection": TASKS["detection"]._replace(min_agreement=0)}

    def agreement(change: Change) -> float:
        (region,) = (one for one in engine.executor.checked.operations if one.op == "dense_region")
        monkeypatch.setattr("perception.runtime.self_check.TASKS", lenient)
        monkeypatch.setattr(engine, "executor", _Changed(engine.executor, change, region.inputs["map"]))
        result = run_self_check(engine, folder)
        assert result is not None
        return result.agreement

    return agreement


def test_half_precision_passes(demo: Callable[..., float]) -> None:
    folder = find_bundle("flatformer_street")
    content = convert_to_half((folder / "dense_0.onnx").read_bytes())
    half = load_region(folder / "dense_0.onnx", "cpu", 1, content)

    def in_half(values: dict[str, np.ndarray]) -> np.ndarray:
        (bev,) = (value for name, value in values.items() if name != "maps")
        (maps,) = half.run({"map": bev}).values()
        return maps

    assert demo(in_half) > 0.98


@pytest.mark.parametrize(
    "change",
    [
        lambda maps: np.roll(maps, 1, 3),
        lambda maps: np.ascontiguousarray(maps.swapaxes(2, 3)),
        lambda maps: maps * np.float32(0),
        lambda maps: maps * np.random.default_rng(0).normal(1, 0.1, maps.shape).astype(np.float32),
        lambda maps: np.where(np.arange(256) < 128, np.float32(-9), maps),
    ],
    ids=["a cell aside", "transposed", "zero", "a tenth off", "half of it lost"],
)
def test_a_kernel_that_computes_something_else_fails(demo: Callable[..., float], change: Any) -> None:
    assert demo(lambda values: change(values["maps"])) < TASKS["detection"].min_agreement - 0.1

"""Figures made again from what is kept of frames are those that an evaluation of as many copies would have."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from perception.evaluation.compare.samples import FrameKey, read_samples
from perception.evaluation.figures import figures_of
from perception.evaluation.records import FrameRecord
from tests.evaluation.compare.evaluations import frame, results_of


def labelled(count: int = 30) -> list[FrameRecord]:
    """Random labels of five classes, points without a label, stages, drops; two bags."""
    rng = np.random.default_rng(1)
    records = []
    for index in range(count):
        triples = [(*rng.integers(0, 5, 2).tolist(), int(rng.integers(1, 50))) for _ in range(8)]
        triples.append((int(rng.integers(0, 5)), 255, 3))
        stages = {"total": rng.uniform(5, 50)} | ({"decode": rng.uniform(0, 3)} if index % 2 else {})
        fate = {"dropped": "late"} if index % 7 == 6 else {"stage_ms": stages}
        bag = "night" if index % 3 else "day"
        records.append(frame(index // 3, triples=None if index == 4 else triples, bag=bag, **fate))
    return list({(one.bag, one.index): one for one in records}.values())


def copies(records: list[FrameRecord], weights: list[int]) -> list[FrameRecord]:
    """As many copies of each frame; every copy is a frame of its own."""
    many = [one for one, times in zip(records, weights, strict=True) for _ in range(times)]
    return [one.model_copy(update={"index": index, "stamp_ns": index * 10**8}) for index, one in enumerate(many)]


def in_order(records: list[FrameRecord]) -> list[FrameRecord]:
    return sorted(records, key=lambda one: (one.bag, one.index))


def boxes(random: np.random.Generator, places: np.ndarray, names: np.ndarray) -> dict[str, Any]:
    """Boxes of scores, turns, sizes and speeds of which no two are the same; every tenth speed is unknown."""
    count = len(places)
    speeds = [None if one < 0.1 else (one, 2 * one) for one in random.random(count).tolist()]
    return {
        "centers": np.column_stack([places, np.zeros(count)]).tolist(),
        "sizes": random.uniform(1, 5, (count, 3)).tolist(),
        "yaws": random.uniform(-3, 3, count).tolist(),
        "class_names": names.tolist(),
        "scores": random.uniform(0.05, 1, count).tolist(),
        "velocities": speeds,
        "points": random.integers(0, 30, count).tolist(),
    }


def with_objects(count: int = 30, each: int = 12) -> list[FrameRecord]:
    """Random objects of three classes, found more or less; some show too few points, some frames have no truth."""
    rng = np.random.default_rng(2)
    records = []
    for index in range(count):
        places, names = rng.uniform(-40, 40, (each, 2)), rng.choice(["car", "bus", "barrier"], each, p=[0.6, 0.1, 0.3])
        near = places + rng.normal(0, 0.8, places.shape)
        alarms = rng.uniform(-40, 40, (each // 2, 2))
        found = boxes(rng, np.concatenate([near, alarms]), np.concatenate([names, names[: each // 2]]))
        truth = boxes(rng, places, names) if index % 9 else None
        records.append(frame(index, rng.uniform(5, 9), truth=truth, found=found))
    records[5] = frame(5, dropped="late")
    return records


@pytest.mark.parametrize("seed", [None, 0, 1, 2])
def test_weights_are_copies_of_boxes(seed: int | None) -> None:
    records = with_objects()
    task: dict[str, Any] = {"task": "detection", "classes": ("car", "bus", "barrier", "truck")}
    weights = np.ones(len(records), np.int64)
    if seed is not None:
        weights = np.random.default_rng(seed).integers(0, 4, len(records))
    found = read_samples(records, results_of(records, **task).models)["street"].figures(weights)
    (model,) = results_of(copies(records, weights.tolist()), **task).models
    expected = figures_of(model)
    assert {"mAP", "NDS", "AP.car", "AP.bus", "AP.barrier", "error.velocity", "error.scale"} <= found.keys()
    assert 0.05 < found["mAP"] < 0.9
    for name, value in found.items():
        assert value == pytest.approx(np.nan if expected[name] is None else expected[name], rel=1e-12, nan_ok=True), (
            name
        )


@pytest.mark.parametrize("seed", [None, 0, 1, 2])
def test_weights_are_copies(seed: int | None) -> None:
    records = labelled()
    weights = np.ones(len(records), np.int64)
    if seed is not None:
        weights = np.random.default_rng(seed).integers(0, 4, len(records))
    samples = read_samples(records, results_of(records).models)["street"]
    found = samples.figures(weights)
    (model,) = results_of(copies(in_order(records), weights.tolist())).models
    expected = figures_of(model)
    assert {"mIoU", "IoU.car", "accuracy", "latency.decode.p95", "rate", "drops", "drop_share"} <= found.keys()
    for name, value in found.items():
        assert value == pytest.approx(np.nan if expected[name] is None else expected[name], rel=1e-12, nan_ok=True), (
            name
        )


def test_the_rate_online_is_the_share_that_comes_out() -> None:
    stages = {"total": 5.0, "end_to_end": 8.0}
    records = [frame(index, stage_ms=stages, **({"dropped": "late"} if index == 3 else {})) for index in range(4)]
    results = results_of(records)
    assert results.models[0].rate_hz == pytest.approx(7.5)
    samples = read_samples(records, results.models)["street"]
    assert samples.figures(np.array([1, 1, 1, 1]))["rate"] == pytest.approx(7.5)
    assert samples.figures(np.array([1, 1, 0, 2]))["rate"] == pytest.approx(5)


def test_keys_are_in_the_order_of_the_drive_however_they_were_written() -> None:
    records = [frame(2), frame(0, bag="a"), frame(1)]
    samples = read_samples(records, results_of(records).models)["street"]
    assert samples.keys == (FrameKey("a", 0, 0), FrameKey("drive", 1, 10**8), FrameKey("drive", 2, 2 * 10**8))
    assert samples.bag_frames == (1, 2)


def test_networks_are_kept_apart() -> None:
    records = [frame(0, 10.0), frame(0, 20.0, model="other")]
    samples = read_samples(records, results_of(records).models)
    totals = [samples[name].figures(np.array([1]))["latency.total.p50"] for name in ("street", "other")]
    assert totals == [10, 20]


def test_what_no_drawn_frame_has_is_unknown() -> None:
    records = [frame(0, triples=[(0, 0, 1)]), frame(1, dropped="late")]
    samples = read_samples(records, results_of(records).models)["street"]
    found = samples.figures(np.array([0, 2]))
    assert np.isnan([found["mIoU"], found["latency.total.p50"], found["rate"]]).all()
    assert (found["drops"], found["drop_share"]) == (2, 1)

"""From records to figures: truth against itself is perfect, and known mistakes cost what they cost by hand."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from perception.classes import NUSCENES_LIDARSEG, SEMANTIC_KITTI
from perception.configuration import ConfigurationError
from perception.evaluation.judging import Judge
from perception.evaluation.label_sets import NUSCENES_OF_SEMANTIC_KITTI, unmapped
from perception.evaluation.metrics.bands import DISTANCE_BANDS_M
from perception.evaluation.records import FrameRecord
from perception.evaluation.results import ResourceUsage, Usage
from perception.evaluation.summary import summarize
from tests.evaluation.outcomes import MODEL, judged_labels, labelled_frame, labels, network, outcome

KITTI = network("segmentation", SEMANTIC_KITTI.names)
NUSCENES = network("segmentation", NUSCENES_LIDARSEG.names)
BANDS = [band.name for band in DISTANCE_BANDS_M]


def scattered(seed=0, count=4000):
    """Points of all classes at all distances."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(-60, 60, (count, 4)).astype(np.float32)
    return points, rng.integers(0, len(SEMANTIC_KITTI), count).astype(np.uint8)


def test_true_labels_are_perfect_in_every_band():
    points, truth = scattered()
    found = judged_labels(KITTI, [(labelled_frame(points, truth), labels(truth))] * 2)
    assert (found.mean_iou, found.accuracy, found.frames) == (1, 1, 2)
    assert set(found.iou) == set(SEMANTIC_KITTI.names)
    assert set(found.iou.values()) == {1}
    assert [found.by_distance[band].mean_iou for band in BANDS] == [1, 1, 1]
    assert sum(sum(one.points.values()) for one in found.by_distance.values()) == 2 * len(truth)


def test_swapped_labels_cost_two_classes_and_no_other():
    points, truth = scattered()
    road, car = SEMANTIC_KITTI.names.index("road"), SEMANTIC_KITTI.names.index("car")
    table = np.arange(256, dtype=np.uint8)
    table[[road, car]] = car, road
    found = judged_labels(KITTI, [(labelled_frame(points, truth), labels(table[truth]))])
    assert {name for name, iou in found.iou.items() if iou != 1} == {"road", "car"}
    assert found.iou["road"] == found.iou["car"] == 0
    assert found.mean_iou == pytest.approx(17 / 19)
    swapped = np.isin(truth, [road, car]).mean()
    assert found.accuracy == pytest.approx(1 - swapped)
    assert found.confusion[road][car] == (truth == road).sum()


def test_half_of_the_points_wrong_in_one_band():
    # 4 of road at 5 m, all right; 4 at 30 m, half of them taken for car; 2 cars at 30 m, right.
    road, car = SEMANTIC_KITTI.names.index("road"), SEMANTIC_KITTI.names.index("car")
    points = np.zeros((10, 4), np.float32)
    points[:, 1] = [5] * 4 + [30] * 6
    truth, said = [road] * 8 + [car] * 2, [road] * 6 + [car] * 4
    found = judged_labels(KITTI, [(labelled_frame(points, np.array(truth, np.uint8)), labels(said))])
    near, middle, far = (found.by_distance[band] for band in BANDS)
    assert near.iou == {"road": 1}
    assert middle.iou == {"car": 2 / 4, "road": 2 / 4}
    assert middle.accuracy == pytest.approx(4 / 6)
    assert (far.mean_iou, far.accuracy, far.iou) == (None, None, {})
    assert found.iou == {"car": 2 / 4, "road": 6 / 8}


def test_the_truth_in_nuscenes_classes_is_perfect_too():
    points, truth = scattered()
    names = NUSCENES_LIDARSEG.names
    said = [names.index(NUSCENES_OF_SEMANTIC_KITTI.get(SEMANTIC_KITTI.names[one], "bus")) for one in truth]
    frame = labelled_frame(points, truth)
    for description, result in ((NUSCENES, labels(said)), (KITTI, labels(truth))):
        found = judged_labels(description, [(frame, result)], "nuscenes_lidarseg")
        assert found.label_set == "nuscenes_lidarseg"
        assert found.mean_iou == found.accuracy == 1
        assert set(found.iou) == set(names) - set(unmapped(NUSCENES_LIDARSEG))
    assert unmapped(NUSCENES_LIDARSEG) == ("barrier", "bus", "construction_vehicle", "traffic_cone", "trailer")
    assert unmapped(SEMANTIC_KITTI) == ()


def models(*names, task="segmentation"):
    return [SimpleNamespace(name=name, description=network(task, ("car", "road"))) for name in names]


def record(model=MODEL, stamp_s=0.0, dropped="", bag="drive", **stage_ms):
    return FrameRecord(
        bag=bag, index=0, model=model, stamp_ns=int(stamp_s * 1e9), points=3, dropped=dropped, stage_ms=stage_ms
    )


def test_networks_come_in_their_order_with_their_own_frames():
    records = [record("b", total=4.0), record("a", dropped="superseded"), record("a", total=8.0, decode=1.0)]
    usage = ResourceUsage(cpu_percent=Usage(mean=1, max=2), memory_mib=Usage(mean=1, max=2), samples=3)
    first, second, third = summarize(records, models("a", "b", "c"), {"b": usage})
    assert [one.name for one in (first, second, third)] == ["a", "b", "c"]
    assert (first.frames.in_, first.frames.out, first.frames.dropped_by_reason) == (2, 1, {"superseded": 1})
    assert {stage: one.p50 for stage, one in first.latency_ms.items()} == {"total": 8.0, "decode": 1.0}
    assert (first.rate_hz, second.rate_hz, third.rate_hz) == (125.0, 250.0, None)
    assert (first.resources, second.resources) == (None, usage)
    assert third.frames.in_ == 0
    assert first.segmentation is None, "nothing had a truth"


def test_the_rate_online_is_that_of_results():
    # Two bags of 10 Hz, of which every second result came.
    records = [
        record(bag=bag, stamp_s=start + 0.1 * number, **({"end_to_end": 20.0}), dropped="late" if number % 2 else "")
        for bag, start in (("one", 5), ("two", 100))
        for number in range(10)
    ]
    assert summarize(records, models(MODEL))[0].rate_hz == pytest.approx(5)
    assert summarize(records[:1], models(MODEL))[0].rate_hz is None, "one frame lasts no time"


def test_records_that_do_not_fit_are_refused():
    with pytest.raises(ConfigurationError, match="a frame of other, expected one of a, b"):
        summarize([record("other")], models("a", "b"))
    frame = labelled_frame(*scattered())
    said = labels(np.zeros(len(frame.class_ids), np.uint8))
    mixed = [Judge.of_bundle(KITTI, name).judge(outcome(frame, said)) for name in (None, "nuscenes_lidarseg")]
    with pytest.raises(ConfigurationError, match="one --label-set"):
        summarize(mixed, models(MODEL))

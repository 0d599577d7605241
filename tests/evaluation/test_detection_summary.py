"""Found boxes through records to figures: the truth is perfect, and known mistakes cost what they cost by hand."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from perception.data.boxes import chosen, joined
from perception.evaluation.criteria import DetectionCriteria
from perception.evaluation.detection_summary import DetectionSummary
from perception.evaluation.judging import Judge
from perception.evaluation.metrics.bands import DISTANCE_BANDS_M, POINT_BANDS
from perception.evaluation.records import BoxesRecord, FrameRecord, RecordWriter, read_records
from perception.evaluation.summary import summarize
from perception.types import Boxes3D, DetectedObjects
from tests.evaluation.metrics.detections import cars, row
from tests.evaluation.outcomes import MODEL, boxes_frame, judged_boxes, network, outcome, with_scores

DISTANCES = [band.name for band in DISTANCE_BANDS_M]
POINTS = [band.name for band in POINT_BANDS]
#: Eight objects of two classes, none near another, at all distances.
PLACES = (row(5), row(-5, 3), row(10, 10, yaw=1), row(0, 25, yaw=2), row(30, 5), row(-33, 2), row(42, 3), row(2, -45))
STREET = cars(*PLACES, names=("car", "bus") * 4)
SOME_POINTS = [5, 7, 30, 90, 100, 150, 5, 200]


def figures(found: Boxes3D, truth: Boxes3D = STREET, points_each: int | list[int] = 10, **criteria):
    return judged_boxes([(boxes_frame(truth, points_each), found)], criteria=DetectionCriteria(**criteria))


def shifted(boxes: Boxes3D, *by_m: float) -> Boxes3D:
    return replace(boxes, centers=boxes.centers + np.array(by_m, np.float32))


def test_the_truth_is_perfect_everywhere():
    found = figures(STREET, points_each=SOME_POINTS)
    assert found.mean_average_precision == 1
    assert found.errors == {
        "translation": 0, "scale": pytest.approx(0), "orientation": 0, "velocity": 0, "attribute": None
    }  # fmt: skip
    # The fifth error of nuScenes, that of attributes which nobody names, counts as 1, as in its own evaluation.
    assert found.nuscenes_detection_score == pytest.approx(0.9)
    for name, one in found.by_class.items():
        assert one.average_precision_at_m == {"0.5": 1, "1": 1, "2": 1, "4": 1}, name
        assert (one.objects, one.found) == (4, 4)
    assert [found.by_distance[band].mean_average_precision for band in DISTANCES] == [1, 1, 1]
    assert [found.by_points[band].mean_average_precision for band in POINTS] == [None, 1, 1, 1]
    in_bands = [one.kitti for bands in (found.by_distance, found.by_points) for one in bands.values()]
    assert in_bands == [found.kitti] * 3 + [{}] + [found.kitti] * 3, "no object shows fewer than 5 points"
    assert found.kitti == {"Car": {"bev": {"all": 1}, "3d": {"all": 1}}}, "KITTI knows no bus"
    assert set(found.curves["car"].precision) == {1}
    assert set(found.curves["car"].score) == {1}


def test_boxes_that_lie_beside_their_objects():
    found = figures(shifted(STREET, 0.7, 0, 0))
    assert found.mean_average_precision == pytest.approx(3 / 4), "too far at 0.5 m, near enough at 1, 2 and 4 m"
    assert found.by_class["bus"].average_precision_at_m == {"0.5": 0, "1": 1, "2": 1, "4": 1}
    assert found.errors["translation"] == pytest.approx(0.7)
    assert found.nuscenes_detection_score == pytest.approx((5 * 0.75 + 0.3 + 1 + 1 + 1) / 10)
    # Of boxes of 4 by 2 m, 3.3 of 4.7 m are common along, and 1.3 of 2.7 m across: more and less than 0.7.
    straight = cars(row(5), row(30, 5), names="car")
    along, across = (figures(shifted(straight, *by), straight).kitti["Car"] for by in ((0.7, 0, 0), (0, 0.7, 0)))
    assert along == {"bev": {"all": 1}, "3d": {"all": 1}}
    assert across == {"bev": {"all": 0}, "3d": {"all": 0}}
    above = figures(shifted(straight, 0, 0, 0.7), straight)
    assert above.kitti["Car"] == {"bev": {"all": 1}, "3d": {"all": 0}}
    assert above.mean_average_precision == 1, "nuScenes matches as seen from above"


def test_half_of_the_objects_not_found():
    found = figures(chosen(STREET, np.array([0, 1, 4, 5])))
    # Of the levels of recall from 11 to 100 %, those up to 50 % are reached; of KITTI's 40, half.
    assert found.mean_average_precision == pytest.approx(40 / 90)
    assert found.kitti["Car"]["3d"]["all"] == 0.5
    by_distance = [found.by_distance[band] for band in DISTANCES]
    assert by_distance[1].by_class["car"].objects == 1
    assert [one.by_class["car"].average_precision for one in by_distance] == pytest.approx([40 / 90, 1, 0])
    assert [one.by_class["bus"].average_precision for one in by_distance] == pytest.approx([1, 40 / 90, 0])
    assert found.errors["translation"] == 0
    assert found.curves["car"].score[51] is None


def test_boxes_turned_by_a_quarter():
    found = figures(replace(STREET, yaws=STREET.yaws + np.float32(np.pi / 2)))
    assert found.mean_average_precision == 1
    assert found.errors["orientation"] == pytest.approx(np.pi / 2, rel=1e-6)
    assert found.nuscenes_detection_score == pytest.approx((5 + 1 + 1 + 0 + 1) / 10)
    # 2 by 2 of 4 by 2 m are common: 4 of 12 square metres.
    assert found.kitti["Car"]["bev"]["all"] == 0


def test_two_objects_with_each_others_label():
    names = ("bus", "car", *STREET.class_names[2:])
    found = figures(replace(with_scores(STREET, 0.5, 0.5, *[0.9] * 6), class_names=names))
    # Three of four are right; then at a recall of 75 % comes a false alarm, which leaves 3 of 4 right there.
    assert found.mean_average_precision == pytest.approx((64 * 0.9 + 0.65) / 90 / 0.9)
    assert found.kitti["Car"]["3d"]["all"] == 30 / 40
    assert [one.found for one in found.by_class.values()] == [4, 4]


@pytest.mark.parametrize(("score", "precision", "kitti"), [(0.95, 4 / 5, 4 / 5), (0.1, 1, 1)])
def test_a_box_around_nothing(score: float, precision: float, kitti: float):
    alarm = cars(row(20, 20), names="car", scores=(score,))
    found = figures(joined([with_scores(STREET, *[0.9] * 8), alarm]))
    car = found.by_class["car"]
    # Before all hits, precision is 1/2, 2/3, 3/4 and 4/5 at 25, 50, 75 and 100 % recall, with lines between (0 at 0).
    levels = np.linspace(0, 1, 101)
    line = np.interp(levels, [0, 0.25, 0.5, 0.75, 1], [0, 1 / 2, 2 / 3, 3 / 4, 4 / 5])[11:]
    expected = (line - 0.1).mean() / 0.9 if precision < 1 else (89 * 0.9 + 0.7) / 90 / 0.9
    assert car.average_precision == pytest.approx(expected)
    assert (car.objects, car.found) == (4, 5)
    assert found.curves["car"].precision[100] == pytest.approx(4 / 5)
    assert found.kitti["Car"]["bev"]["all"] == pytest.approx(kitti), "the best precision at that recall or more"
    assert found.by_class["bus"].average_precision == 1
    # The alarm, at 28 m and without points, is one of the middle distance and of the fewest points.
    near, middle, far = (found.by_distance[band].by_class["car"].average_precision for band in DISTANCES)
    assert (near, far) == (1, 1)
    assert middle == pytest.approx((1 / 2 * levels[11:] - 0.1).clip(0).mean() / 0.9 if precision < 1 else 89.4444 / 90)
    assert found.by_points["5-19 points"].by_class["car"].average_precision == 1


def test_objects_that_show_little_need_not_be_found():
    points_each = [4, 5, 5, 5, 5, 5, 5, 5]
    found = figures(chosen(STREET, np.arange(1, 8)), points_each=points_each)
    assert found.mean_average_precision == 1
    assert found.by_class["car"].objects == 3
    assert figures(STREET, points_each=points_each).mean_average_precision == 1, "nor is finding one a mistake"
    assert found.by_points[POINTS[0]].by_class["car"].objects == 1, "but there they have a band of their own"
    assert found.by_points[POINTS[0]].mean_average_precision == 0
    strict = figures(chosen(STREET, np.arange(1, 8)), points_each=points_each, least_points=4)
    assert strict.by_class["car"].average_precision == pytest.approx(65 / 90, abs=1e-9)


def test_what_is_too_far_away_or_unknown_is_left_out():
    truth = cars(row(5), row(55), row(12), names=("car", "car", "tree"))
    found = figures(cars(row(5), row(-60), names=("car", "car")), truth)
    assert found.mean_average_precision == 1
    assert list(found.by_class) == ["car"]
    assert found.kitti["Car"]["3d"]["all"] == 1
    wide = figures(cars(row(5), row(-60), names=("car", "car")), truth, range_m=70)
    assert wide.by_class["car"].objects == 2
    assert wide.mean_average_precision < 0.6


def of_records(records):
    model = SimpleNamespace(name=MODEL, description=network("detection", ("car", "bus")))
    (results,) = summarize(records, [model])
    return results


def test_frames_without_truth_or_result_are_not_compared():
    judge = Judge.of_bundle(network("detection", ("car", "bus")))
    some = cars(row(5), names="car")
    outcomes = [
        outcome(boxes_frame(None), DetectedObjects(some)),
        outcome(boxes_frame(some), None, 1, dropped="superseded"),
    ]
    records = [judge.judge(one) for one in outcomes]
    assert records[0].found is not None
    assert of_records(records).detection is None
    assert of_records([*records, judge.judge(outcome(boxes_frame(some), DetectedObjects(some)))]).detection.frames == 1


def test_difficulty_gives_the_levels_of_kitti():
    truth = cars(row(5), row(15), row(25), row(35), names="car")
    found = BoxesRecord.of(chosen(truth, np.array([0, 2])), np.array([10, 10]))
    rated = BoxesRecord.of(truth, np.full(4, 10), np.array([0, 1, 2, 3]))
    record = FrameRecord(bag="a", index=0, model=MODEL, stamp_ns=0, points=40, truth=rated, found=found)
    levels = of_records([record]).detection.kitti["Car"]["3d"]
    assert levels == {"all": 0.5, "easy": 1, "moderate": 0.5, "hard": pytest.approx(26 / 40)}
    # Frames of another bag, of whose objects nothing is known, change what is said of all objects and nothing else.
    more = record.model_copy(update={"index": 1, "truth": BoxesRecord.of(truth, np.full(4, 10))})
    for records in ([record, more, more], [more, more, record]):
        assert of_records(records).detection.kitti["Car"]["3d"] == levels
    missed = more.model_copy(update={"found": BoxesRecord.of(cars(), np.empty(0, np.int64))})
    assert of_records([missed, record]).detection.kitti["Car"]["3d"] == levels | {"all": 0.25}


def test_records_that_were_written_down_give_the_same_digits(tmp_path):
    rng = np.random.default_rng(1)
    judge = Judge.of_bundle(network("detection", ("car", "bus")))
    records = []
    for number in range(6):
        moved = shifted(STREET, *rng.normal(0, 0.6, 3))
        scored = with_scores(moved, *rng.uniform(0.1, 1, 8))
        records.append(judge.judge(outcome(boxes_frame(STREET), DetectedObjects(scored), number)))
    with RecordWriter(tmp_path / "a.jsonl") as writer:
        for record in records:
            writer.write(record)
    assert of_records(read_records([tmp_path / "a.jsonl"])).model_dump_json() == of_records(records).model_dump_json()


def test_ten_thousand_frames_fit_into_memory():
    """Of 100 detections and 30 objects a frame, less is kept than their boxes would take."""
    rng = np.random.default_rng(0)
    truth = cars(*(row(*rng.uniform(-40, 40, 2)) for _ in range(30)), names="car")
    found = cars(*(row(*rng.uniform(-40, 40, 2)) for _ in range(100)), names="car", scores=rng.random(100))
    records = BoxesRecord.of(truth, np.full(30, 9)), BoxesRecord.of(found, np.full(100, 9))
    summary = DetectionSummary(("car", "bus"), DetectionCriteria())
    frame = FrameRecord(bag="a", index=0, model=MODEL, stamp_ns=0, points=40, truth=records[0], found=records[1])
    for _ in range(3):
        summary.add(frame)
    tracemalloc.start()
    try:
        for _ in range(60):
            summary.add(frame)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    boxes_alone = 130 * (3 + 3 + 1 + 1 + 2) * np.dtype(np.float64).itemsize
    assert 60 * 1000 < kept < 60 * boxes_alone

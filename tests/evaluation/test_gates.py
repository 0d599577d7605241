"""Conditions on figures: what they mean, what they say, and what is refused."""

from __future__ import annotations

import pytest

from perception.configuration import ConfigurationError
from perception.evaluation.figures import figures_of, less_is_better
from perception.evaluation.gates import Measured, check_gates, failed_gates, parse_gates
from perception.evaluation.results import DetectionResults, ResourceUsage, Usage
from tests.evaluation.compare.evaluations import evaluation, labelling, network

#: Of 10 cars 8 are right, of 10 points of road 9: IoU 8/11 and 9/12.
LABELS = labelling([[8, 2, 0], [1, 9, 0], [0, 0, 0]])
SEGMENTER = network(totals_ms=(10.0, 20.0, 30.0), dropped=1, segmentation=LABELS)
DETECTOR = network(
    "boxes",
    task="detection",
    detection=DetectionResults.model_validate(
        {
            "mean_average_precision": 0.4,
            "by_class": {},
            "classes": ["car"],
            "nuscenes_detection_score": 0.3,
            "errors": {"translation": 0.5, "velocity": None},
            "range_m": 50.0,
            "least_points": 5,
            "frames": 3,
            "curves": {},
            "by_distance": {"0-20 m": {"mean_average_precision": 0.6, "by_class": {}, "kitti": {}}},
            "by_points": {},
            "kitti": {"Car": {"3d": {"easy": 0.7}}},
        }
    ),
)
BOTH = evaluation(SEGMENTER, DETECTOR)


def test_figures_have_short_names() -> None:
    figures = figures_of(SEGMENTER)
    assert figures["IoU.car"] == pytest.approx(8 / 11)
    assert figures["mIoU"] == pytest.approx((8 / 11 + 9 / 12) / 2)
    assert figures["accuracy"] == pytest.approx(17 / 20)
    assert (figures["latency.total.p50"], figures["drops"], figures["drop_share"]) == (20.0, 1, 0.25)
    assert figures["IoU.tree"] is None, "no tree in the truth"
    figures = figures_of(DETECTOR)
    assert (figures["NDS"], figures["error.translation"], figures["mAP.0-20m"]) == (0.3, 0.5, 0.6)
    assert figures["KITTI.Car.3d.easy"] == 0.7
    assert figures["power.max"] is None


def test_resources_are_figures() -> None:
    usage = ResourceUsage(cpu_percent=Usage(mean=90, max=180), memory_mib=Usage(mean=0, max=300), samples=3)
    figures = figures_of(network(resources=usage))
    assert (figures["cpu.max"], figures["memory.mean"], figures["gpu.mean"]) == (180, 0, None)


@pytest.mark.parametrize(
    ("name", "cost"), [("mAP", False), ("latency.total.p99", True), ("rate", False), ("error.scale", True)]
)
def test_costs_are_told_from_qualities(name: str, cost: bool) -> None:
    assert less_is_better(name) == cost


@pytest.mark.parametrize(
    ("expression", "line"),
    [
        ("mAP < 0.5", "boxes has 0.4, 0.1 below 0.5"),
        ("mAP < 0.4", None),
        ("mAP <= 0.4", "boxes has 0.4, the limit itself"),
        ("latency.total.max > 25", "street has 30, 5 above 25"),
        ("street:latency.total.p50>=2e1", "street has 20, the limit itself"),
        ("iou.CAR < 0.8", "street has 0.7273, 0.07273 below 0.8"),
        ("IoU.tree < 0.1", "street has no IoU.tree: nothing was measured"),
        ("drops > 0", "street has 1, 1 above 0"),
        ("drops > 1", None),
        ("AP.car < 0.5", "boxes has no AP.car: nothing was measured"),
        ("error.velocity > 1", "boxes has no error.velocity: nothing was measured"),
        ("power.max > 10", "street has no power.max: nothing was measured"),
    ],
)
def test_a_gate_says_what_fails_and_by_how_much(expression: str, line: str | None) -> None:
    lines = failed_gates(BOTH, [expression])
    assert lines[:1] == ([] if line is None else [f"{expression}: {line}"])


def test_every_network_is_checked_unless_one_is_named() -> None:
    results = evaluation(network("one", totals_ms=(50.0,)), network("two", totals_ms=(60.0,)))
    assert failed_gates(results, ["latency.total.p99 > 55", "one:latency.total.p99 > 40", "drops > 0"]) == [
        "latency.total.p99 > 55: two has 60, 5 above 55",
        "one:latency.total.p99 > 40: one has 50, 10 above 40",
    ]


@pytest.mark.parametrize("figure", ["mIoU", "IoU.car", "accuracy"])
def test_what_was_not_compared_fails(figure: str) -> None:
    for labels in (None, labelling([[0] * 3] * 3)):
        (line,) = failed_gates(evaluation(network(segmentation=labels)), [f"{figure} < 0.1"])
        assert line == f"{figure} < 0.1: street has no {figure}: nothing was measured"


def test_without_any_result_there_is_no_latency() -> None:
    (line,) = failed_gates(evaluation(network(totals_ms=(), dropped=2)), ["latency.total.p99 > 100"])
    assert line.endswith("street has no latency.total.p99: nothing was measured")


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("mAP", "expected .*FIGURE"),
        ("mAP < lots", "expected"),
        ("mAP < nan", "expected"),
        ("mAP == 0.5", "expected"),
        ("0.5 > mAP", "expected"),
        ("mAP < 0.5 significant", "only changes are significant"),
        ("delta.mAP < 0", "perception compare"),
        ("IoU.cra < 0.5", r"no figure 'IoU\.cra' \(there are: IoU\.car, "),
        ("latency.total.p90 > 5", r"there are: latency\.total\.p50, latency\.total\.p95, .* and \d+ more"),
        ("tree:mAP < 0.5", "no network 'tree' .*street, boxes"),
        ("street:mAP < 0.5", "no figure 'mAP'"),
        ("__import__('os').system('true') < 1", "no figure|expected"),
    ],
)
def test_a_mistake_is_one_sentence(expression: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as error:
        failed_gates(BOTH, [expression])
    assert "\n" not in str(error.value)
    assert "*" not in str(error.value)


@pytest.mark.parametrize(
    ("measured", "reason"),
    [
        (Measured(-0.03, significant=True), "-0.03, 0.02 below -0.01"),
        (Measured(-0.03, significant=False), None),
        (Measured(-0.03, significant=None), "-0.03, and nothing to tell if it is chance"),
        (Measured(0.03, significant=True), None),
    ],
)
def test_chance_can_be_left_out(measured: Measured, reason: str | None) -> None:
    gates = parse_gates(["delta.mAP < -0.01 significant"])
    lines = check_gates(gates, {"street": {"delta.mAP": measured}})
    assert lines == ([] if reason is None else [f"delta.mAP < -0.01 significant: street has {reason}"])

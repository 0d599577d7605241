"""metrics.json: its keys, its schema, and figures that agree with each other."""

import json

import jsonschema
import pydantic
import pytest

from perception.evaluation.demo_results import SCHEMA_FILE, json_schema
from perception.evaluation.results import FrameCounts


@pytest.fixture
def metrics(results, tmp_path):
    results.write(tmp_path / "metrics.json")
    return json.loads((tmp_path / "metrics.json").read_text())


@pytest.fixture(scope="module")
def schema():
    return json.loads(SCHEMA_FILE.read_text())


def test_the_shipped_schema_is_the_one_of_the_code(schema):
    assert schema == json_schema(), (
        "run: python -c 'from perception.evaluation import demo_results; demo_results.write_schema()'"
    )


def test_metrics_follow_the_schema(metrics, schema):
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(metrics, schema)


@pytest.mark.parametrize(
    "path", ["segmentation.mean_iou", "frames.in", "frames.dropped", "latency_ms", "run.machine.cpu"]
)
def test_the_schema_misses_what_is_missing(metrics, schema, path):
    *parents, last = path.split(".")
    holder = metrics
    for key in parents:
        holder = holder[key]
    del holder[last]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(metrics, schema)


def test_the_promised_keys_are_there(metrics):
    assert set(metrics["segmentation"]["iou"]) == {"road", "car", "tree"}
    assert {"p50", "p95", "p99"} <= set(metrics["latency_ms"]["network"])
    assert {key: metrics["frames"][key] for key in ("in", "out", "dropped")} == {"in": 20, "out": 2, "dropped": 18}


def test_the_mean_is_the_mean_of_the_classes_listed(metrics):
    iou = metrics["segmentation"]["iou"].values()
    assert metrics["segmentation"]["mean_iou"] == pytest.approx(sum(iou) / len(iou))


def test_points_are_the_rows_of_the_confusion_matrix(metrics):
    segmentation = metrics["segmentation"]
    for name, row in zip(segmentation["classes"], segmentation["confusion"], strict=True):
        assert sum(row) == segmentation["points"].get(name, 0)


@pytest.mark.parametrize(("out", "dropped", "reasons"), [(5, 4, {"late": 4}), (5, 5, {"late": 4}), (6, 4, {"late": 3})])
def test_frames_that_do_not_add_up_are_refused(out, dropped, reasons):
    with pytest.raises(pydantic.ValidationError, match="do not add up"):
        FrameCounts(in_=10, out=out, dropped=dropped, dropped_by_reason=reasons)

"""metrics.json of an evaluation: the shipped schema is that of the code, and what is made follows it."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest

from perception.evaluation.judging import Judge
from perception.evaluation.machine import describe_machine
from perception.evaluation.results import SCHEMA_FILE, BagDescription, EvaluationResults, RunDescription, json_schema
from perception.evaluation.summary import summarize
from perception.types import DetectedObjects
from tests.evaluation.metrics.detections import cars, row
from tests.evaluation.outcomes import MODEL, boxes_frame, labelled_frame, labels, network, outcome
from tests.evaluation.test_summary import KITTI, scattered


@pytest.fixture(scope="module")
def schema() -> Any:
    return json.loads(SCHEMA_FILE.read_text())


@pytest.fixture
def metrics(tmp_path: Path) -> Any:
    """metrics.json of a network for labels and one for boxes, with a frame each."""
    points, truth = scattered()
    street = cars(row(5), row(25), names="car")
    pairs = [
        (KITTI, outcome(labelled_frame(points, truth), labels(truth[::-1]), stage_ms={"total": 3.0})),
        (network("detection", ("car", "bus")), outcome(boxes_frame(street), DetectedObjects(street))),
    ]
    models = [
        summarize([Judge.of_bundle(kind).judge(one)], [SimpleNamespace(name=MODEL, description=kind)])
        for kind, one in pairs
    ]
    run = RunDescription(
        command="perception evaluate",
        created="2030-01-01",
        mode="offline",
        partial=False,
        bags=(BagDescription(name="drive", frames=1, duration_s=0.0),),
        duration_s=1.0,
        machine=describe_machine(),
    )
    EvaluationResults(run=run, models=tuple(one for (one,) in models)).write(tmp_path / "metrics.json")
    return json.loads((tmp_path / "metrics.json").read_text())


def test_the_shipped_schema_is_the_one_of_the_code(schema: Any) -> None:
    assert schema == json_schema(), "run: python -c 'from perception.evaluation import results; results.write_schema()'"
    jsonschema.Draft202012Validator.check_schema(schema)


def test_metrics_follow_the_schema(metrics: Any, schema: Any) -> None:
    jsonschema.validate(metrics, schema)
    assert metrics["models"][0]["segmentation"]["label_set"] == "semantic_kitti"
    assert metrics["models"][1]["detection"]["by_class"]["car"]["objects"] == 2


@pytest.mark.parametrize("path", ["run.partial", "models.0.frames.in", "models.1.detection.curves", "models.0.name"])
def test_the_schema_misses_what_is_missing(metrics: Any, schema: Any, path: str) -> None:
    *parents, last = path.split(".")
    holder = metrics
    for key in parents:
        holder = holder[int(key) if key.isdigit() else key]
    del holder[last]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(metrics, schema)

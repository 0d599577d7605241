"""What an evaluation wrote, for tests that compare two."""

from __future__ import annotations

import json
from pathlib import Path

from perception.evaluation.records import read_records


def without_times(out: Path) -> tuple[dict, list[str]]:
    """The figures and the records, but for how long everything took."""
    metrics = json.loads((out / "metrics.json").read_text())
    for name in ("command", "created", "duration_s", "workers"):
        del metrics["run"][name]
    for model in metrics["models"]:
        model["latency_ms"] = {stage: figures["count"] for stage, figures in model["latency_ms"].items()}
        del model["rate_hz"], model["resources"]
    records = [
        record.model_copy(update={"stage_ms": {}}) for record in read_records(sorted(out.glob("frames/*.jsonl")))
    ]
    return metrics, [record.model_dump_json() for record in records]

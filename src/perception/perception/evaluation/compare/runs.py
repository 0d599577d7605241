"""An evaluation as it lies on the disk: metrics.json, and the records of its frames beside it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pydantic

from perception.configuration import ConfigurationError
from perception.evaluation.compare.samples import ModelSamples, read_samples
from perception.evaluation.records import read_records
from perception.evaluation.results import EvaluationResults


class Run(NamedTuple):
    """An evaluation.

    Attributes:
        path: of metrics.json.
        results: what it says.
        samples: of the frames of each network, by its name; empty where the records are gone.
    """

    path: Path
    results: EvaluationResults
    samples: dict[str, ModelSamples]


def read_run(path: Path) -> Run:
    """Read metrics.json, or the one in a folder, and the records beside it.

    Raises:
        ConfigurationError: it cannot be read, or is none of an evaluation.
    """
    path = path / "metrics.json" if path.is_dir() else path
    try:
        results = EvaluationResults.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read ({error.strerror or error})") from None
    except pydantic.ValidationError:
        raise ConfigurationError(f"{path}: no evaluation of this version; make it with perception evaluate") from None
    files = sorted((path.parent / "frames").glob("*.jsonl"))
    return Run(path, results, read_samples(read_records(files), results.models) if files else {})

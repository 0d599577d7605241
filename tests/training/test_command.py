"""The command from its configuration to the bundle that an engine loads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

import perception.training.command as command
import perception.training.sources as sources
from perception import cli
from perception.configuration import ConfigurationError
from perception.runtime import load_engine
from perception.training.settings import TrainingSettings
from perception.types import Frame, PointCloud
from tests.training.conftest import tiny_drive


@pytest.fixture
def config(settings: TrainingSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sources, "simulated_drive", lambda data: tiny_drive)
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump(settings.model_dump(mode="json")))
    return file


def test_from_configuration_to_labels(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", str(config), "--out", str(tmp_path / "bundle"), "--steps", "2"]) == 0
    assert "mean iou on the validation drives" in capsys.readouterr().out
    engine = load_engine(tmp_path / "bundle")
    assert len(engine.forward(Frame(PointCloud(np.ones((5, 4), np.float32))))) == 5
    assert cli.main(["train", str(config), "--out", str(tmp_path / "bundle"), "--steps", "3", "--resume"]) == 0


def test_the_shipped_configuration_is_valid(top: Path) -> None:
    settings = command.load_configuration(str(top / "config" / "training" / "spvcnn_street.yaml"))
    assert not set(range(1, 100)) & set(settings.data.training_seeds.seeds)


def test_an_unknown_configuration_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no training configuration 'nothing'"):
        command.load_configuration("nothing")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"feature_scale": [1.0]}, "1 feature scales for 4 features"),
        ({"learning_rate": 1}, "unknown key 'learning_rate'"),
        ({"data": {"training_seeds": {"first": 0, "count": 5}, "validation_seeds": {"first": 1, "count": 1},
                   "sweeps_per_drive": 1, "sweep_step": 1}}, "overlap"),
    ],
)  # fmt: skip
def test_wrong_values_are_named(config: Path, capsys: pytest.CaptureFixture[str], change: dict, message: str) -> None:
    config.write_text(yaml.safe_dump({**yaml.safe_load(config.read_text()), **change}))
    assert cli.main(["train", str(config), "--out", "bundle"]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1

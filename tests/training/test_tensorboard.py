"""The event files hold what was logged, as TensorBoard reads them."""

from __future__ import annotations

import math
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from perception.configuration import ConfigurationError
from perception.training.tensorboard import TensorBoardLog


def events(folder: Path) -> Iterator[Any]:
    """Read all files: records of a length, its checksum, the event, its checksum."""
    from tensorboardX.proto.event_pb2 import Event

    for file in sorted(folder.iterdir()):
        content = file.read_bytes()
        while content:
            (length,) = struct.unpack("<Q", content[:8])
            yield Event.FromString(content[12 : 12 + length])
            content = content[16 + length :]


def scalars(folder: Path) -> list[tuple[int, str, float]]:
    """Read (step, name, value)."""
    return [(event.step, value.tag, value.simple_value) for event in events(folder) for value in event.summary.value]


def test_values_come_back_by_step_and_name(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")
    log = TensorBoardLog(tmp_path / "log")
    log.add(1, {"loss": 0.5, "mean_iou": math.nan})
    log.add(2, {"loss": 0.25, "mean_iou": 0.75})
    log.close()
    assert scalars(tmp_path / "log") == [(1, "loss", 0.5), (2, "loss", 0.25), (2, "mean_iou", 0.75)]


def test_a_resumed_training_hides_the_steps_that_it_repeats(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")
    from tensorboardX.proto.event_pb2 import SessionLog

    resumed = TensorBoardLog(tmp_path, first_step=7)
    resumed.add(7, {"loss": 1.0})
    resumed.close()
    starts = [event.step for event in events(tmp_path) if event.session_log.status == SessionLog.START]
    assert starts == [7]
    assert scalars(tmp_path) == [(7, "loss", 1.0)]


def test_a_missing_library_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ConfigurationError, match="pip install tensorboardX"):
        TensorBoardLog(tmp_path)

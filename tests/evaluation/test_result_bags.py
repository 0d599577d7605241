"""The bags that an evaluation writes hold every outcome."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np

from perception.data.bags import drive_summary, write_drive
from perception.data.recorded_drive import RecordedDrive
from perception.evaluation.models import EvaluatedModel
from perception.evaluation.outcomes import FrameOutcome
from perception.evaluation.result_bags import ResultBags
from perception.types import LabelledCloud
from tests.evaluation.stand_in_networks import frame


def test_every_outcome_is_in_the_bag_of_its_drive(tmp_path: Path) -> None:
    description = SimpleNamespace(classes=("road", "car"), colors=((255, 0, 255), (1, 2, 3)))
    models = [EvaluatedModel(name, tmp_path, description) for name in ("first", "second")]
    drives = []
    for name, count in (("day", 2), ("night", 3)):
        write_drive(tmp_path / name, [frame(index) for index in range(count)])
        drives.append(RecordedDrive(tmp_path / name))
    for _ in range(2):  # again: in place of the earlier run's
        with ResultBags(tmp_path / "bags", drives, models) as bags:
            for drive in drives:
                for index, moment in enumerate(drive.frames()):
                    labels = LabelledCloud(np.zeros(40, np.uint8), np.ones(40, np.float32))
                    bags.add(FrameOutcome(drive.name, index, moment, "first", labels))
                    bags.add(FrameOutcome(drive.name, index, moment, "second", None, dropped="superseded"))
    topics = [drive_summary(tmp_path / "bags" / name).topics for name in ("day", "night")]
    assert [found["/first/output/pointcloud/segmentation"] for found in topics] == [2, 3]
    assert [found["/points"] for found in topics] == [2, 3]
    assert not any("/second/output" in topic for found in topics for topic in found)

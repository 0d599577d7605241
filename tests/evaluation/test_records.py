"""Records of frames come back from their file as they were, to the bit."""

import numpy as np
import pytest

from perception.configuration import ConfigurationError
from perception.evaluation.records import BoxesRecord, FrameRecord, LabelsRecord, RecordWriter, read_records
from perception.types import Boxes3D


def random_boxes(count, seed=0):
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(count, 9)).astype(np.float32)
    velocities = numbers[:, 7:].copy()
    velocities[::2] = np.nan
    return Boxes3D(
        numbers[:, :3], np.abs(numbers[:, 3:6]), numbers[:, 6], ("car",) * count, np.ones(count, np.float32), velocities
    )


def record(**values):
    return FrameRecord(bag="drive", index=3, model="network", stamp_ns=17, points=5, **values)


@pytest.mark.parametrize("count", [0, 1, 50])
def test_boxes_come_back_to_the_bit(tmp_path, count):
    boxes = random_boxes(count)
    with RecordWriter(tmp_path / "frames" / "drive.jsonl") as writer:
        writer.write(record(found=BoxesRecord.of(boxes, np.arange(count))))
    (found,) = read_records([tmp_path / "frames" / "drive.jsonl"])
    back = found.found.boxes()
    for name in ("centers", "sizes", "yaws", "scores", "velocities"):
        before, after = getattr(boxes, name), getattr(back, name)
        assert after.dtype == np.float32
        assert after.tobytes() == before.tobytes() or name == "velocities"
        np.testing.assert_array_equal(after, before)
    assert back.class_names == boxes.class_names
    assert found.found.points == tuple(range(count))


def test_a_velocity_that_is_no_number_is_unknown():
    boxes = random_boxes(2)
    boxes.velocities[:, 0] = np.inf, 1
    kept = BoxesRecord.of(boxes, np.zeros(2, np.int64)).velocities
    assert kept[0] is None
    assert kept[1] is not None


def test_everything_else_comes_back_too(tmp_path):
    labels = LabelsRecord(sha256="0" * 64, confusion={"0-20 m": ((1, 255, 7), (1, 1, 3))})
    kept = [record(labels=labels, stage_ms={"total": 1.5}, quality=0.3), record(dropped="superseded")]
    with RecordWriter(tmp_path / "a.jsonl") as writer:
        for one in kept:
            writer.write(one)
    assert list(read_records([tmp_path / "a.jsonl", tmp_path / "a.jsonl"])) == kept * 2


def test_another_file_is_refused_by_name(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"bag": 1}\n')
    with pytest.raises(ConfigurationError, match=r"a\.jsonl:1: "):
        list(read_records([tmp_path / "a.jsonl"]))

from __future__ import annotations

import json

import numpy as np
import pytest

from perception import ops
from perception.ops import Dataflow, PreparedTable, Tuning
from perception.ops.tuning import ConvolutionTuner, candidates, needed
from tests.ops.test_convolution_devices import draw_table, normal


class CountingTimer:
    """Runs each call once; every call takes longer than the one before, but for a favourite."""

    def __init__(self, favourite=None):
        self.calls, self.favourite = 0, favourite

    def __call__(self, run):
        run()
        self.calls += 1
        return 0.5 if self.calls == self.favourite else float(self.calls)


@pytest.fixture
def layer(device):
    if device.kind == "cpu":
        pytest.skip("the CPU has nothing to choose")
    prepared = PreparedTable(device.array(draw_table(40, 30, 27)), 30)
    return device.array(normal(30, 8, dtype=np.float16)), prepared, device.array(normal(27, 8, 16, dtype=np.float16))


def test_candidates_differ_and_fit_the_channels():
    for channels in (1, 32, 64, 96, 128, 512):
        found = list(candidates(channels))
        assert len(set(found)) == len(found)
        assert {tuning.dataflow for tuning in found} == set(Dataflow) - {Dataflow.BY_RULE}
        assert all(tuning.tile[1] < 2 * max(channels, 32) for tuning in found)


def test_the_fastest_candidate_is_kept_for_the_next_run(layer, device, tmp_path):
    timer = CountingTimer(favourite=3)
    tuner = ConvolutionTuner(tmp_path / "new", "Some GPU (64 GB)", timer)
    found = tuner.tuning(*layer)
    assert found == Tuning(Dataflow.IMPLICIT_GEMM, (64, 32), ordered=False)
    measured = timer.calls
    assert tuner.tuning(*layer) == found
    again = ConvolutionTuner(tmp_path / "new", "Some GPU (64 GB)", timer)
    assert again.tuning(*layer) == found
    assert timer.calls == measured
    assert ConvolutionTuner(tmp_path / "new", "Another GPU", timer).tuning(*layer)
    assert timer.calls > measured
    assert sorted(path.suffix for path in (tmp_path / "new").iterdir()) == [".json", ".json"]


def test_nothing_is_measured_while_a_robot_drives(layer, device, tmp_path):
    features, _, weight = layer
    timer = CountingTimer(favourite=5)
    tuner = ConvolutionTuner(tmp_path, "GPU", timer)
    tuner.measures = False
    assert tuner.tuning(*layer) == Tuning()
    tuner.measures = True
    found = tuner.tuning(*layer)
    measured = timer.calls
    tuner.measures = False
    larger = PreparedTable(device.array(draw_table(400, 30, 27)), 30)
    assert tuner.tuning(features, larger, weight) == found
    assert tuner.tuning(features, larger, device.array(normal(27, 8, 32, dtype=np.float16))) == Tuning()
    assert timer.calls == measured


def test_other_layers_are_measured_for_themselves(layer, device, tmp_path):
    features, prepared, weight = layer
    tuner = ConvolutionTuner(tmp_path, "GPU", CountingTimer())
    tuner.tuning(*layer)
    keys = set(tuner._tunings)
    tuner.tuning(device.array(normal(30, 8)), prepared, device.array(normal(27, 8, 16)))
    assert len(tuner._tunings) == 2
    tuner.tuning(features, PreparedTable(device.array(draw_table(70, 30, 27)), 30), weight)
    assert len(tuner._tunings) == 3
    assert keys == {"8->16 volume 27 float16 rows 2^6"}
    tuner.tuning(features, PreparedTable(device.array(draw_table(64, 30, 27)), 30), weight)
    assert len(tuner._tunings) == 3


def test_whatever_is_chosen_gives_the_same_result(layer, device, tmp_path):
    features, prepared, weight = layer
    expected = device.numpy(ops.sparse_convolution(features, prepared.table, weight)).astype(np.float32)
    for tuning in candidates(16):
        result = device.numpy(ops.sparse_convolution(features, prepared, weight, tuning=tuning))
        np.testing.assert_allclose(result, expected, rtol=1e-2, atol=1e-2)


def test_two_tuners_of_one_file_keep_what_both_found(layer, device, tmp_path):
    first, second = (ConvolutionTuner(tmp_path, "GPU", CountingTimer()) for _ in range(2))
    first.tuning(*layer)
    second.tuning(device.array(normal(30, 8)), layer[1], device.array(normal(27, 8, 16)))
    assert len(json.loads(first.path.read_text())["tunings"]) == 2


@pytest.mark.parametrize("contents", ["", "{", "[]", "{}", '{"device": "GPU", "interface": -1, "tunings": {}}', "null"])
def test_a_damaged_file_is_ignored_with_a_warning(layer, device, tmp_path, contents):
    path = ConvolutionTuner(tmp_path, "GPU", CountingTimer()).path
    path.write_text(contents)
    with pytest.warns(UserWarning, match="is not used and will be written anew"):
        tuner = ConvolutionTuner(tmp_path, "GPU", CountingTimer())
    tuner.tuning(*layer)
    assert ConvolutionTuner(tmp_path, "GPU", CountingTimer())._tunings == tuner._tunings


@pytest.mark.parametrize(("field", "value"), [("tile", [1, 2]), ("dataflow", "NONE"), ("epsilon", "x"), ("tile", 3)])
def test_a_damaged_choice_is_ignored_with_a_warning(layer, tmp_path, field, value):
    tuner = ConvolutionTuner(tmp_path, "GPU", CountingTimer())
    tuner.tuning(*layer)
    contents = json.loads(tuner.path.read_text())
    for tuning in contents["tunings"].values():
        tuning[field] = value
    tuner.path.write_text(json.dumps(contents))
    with pytest.warns(UserWarning, match="is not used and will be written anew"):
        assert ConvolutionTuner(tmp_path, "GPU", CountingTimer())._tunings == {}


def test_a_folder_that_cannot_be_written_is_a_warning(layer, tmp_path):
    (tmp_path / "file").write_text("")
    tuner = ConvolutionTuner(tmp_path / "file" / "folder", "GPU", CountingTimer())
    with pytest.warns(UserWarning, match="cannot be written"):
        assert tuner.tuning(*layer)


def test_a_candidate_without_memory_is_not_chosen(layer, tmp_path):
    calls = []

    def timer(run):
        calls.append(run)
        if len(calls) == 1:
            raise MemoryError
        return 1.0

    assert ConvolutionTuner(tmp_path, "GPU", timer).tuning(*layer) != next(candidates(16))


def test_preparing_counts_as_far_as_layers_do_not_share_it(layer, tmp_path):
    """All calls take the same time, so that what needs nothing prepared is the fastest."""
    tuner = ConvolutionTuner(tmp_path, "GPU", lambda run: 1.0, layers_per_table=1)
    assert needed(tuner.tuning(*layer)) is None


def test_the_cpu_and_empty_tables_have_nothing_to_choose(device, tmp_path):
    tuner = ConvolutionTuner(tmp_path, "CPU", CountingTimer())
    prepared = PreparedTable(np.zeros((4, 1), np.int32), 2)
    assert tuner.tuning(normal(2, 3), prepared, normal(1, 3, 4)) == Tuning()
    empty = PreparedTable(device.array(np.zeros((0, 1), np.int32)), 2)
    assert tuner.tuning(device.array(normal(2, 3)), empty, device.array(normal(1, 3, 4))) == Tuning()
    assert not tuner.path.exists()

"""An evaluation from beginning to end: what is written, also of one that ends early, and that it is the same twice."""

from __future__ import annotations

import json
import os
import signal
import tracemalloc
from pathlib import Path

import jsonschema
import psutil
import pytest
from rich.console import Console

from perception.configuration import ConfigurationError
from perception.evaluation.offline import OfflineOptions, offline_outcomes
from perception.evaluation.records import read_records
from perception.evaluation.results import EvaluationResults, ResourceUsage, Usage, json_schema
from perception.evaluation.run import Evaluated, Evaluation, evaluate
from perception.evaluation.terminal import print_results
from tests.evaluation.evaluations import without_times
from tests.evaluation.stand_in_networks import SETTINGS, StandInDrive, frame, models


class Interrupting(StandInDrive):
    """Sends this process a signal when a frame is read."""

    at, number = 5, signal.SIGINT

    def frames(self):
        for index, moment in enumerate(super().frames()):
            if index == self.at:
                os.kill(os.getpid(), self.number)
            yield moment


def run(out: Path, drives, networks, workers=2, **changes) -> Evaluated:
    problems = {}
    options = OfflineOptions(
        workers=workers,
        networks=SETTINGS,
        on_problem=lambda model, reason, problem: problems.setdefault((model, reason), problem),
    )
    evaluation = Evaluation(out, networks, drives, "offline", workers=workers, problems=problems, **changes)
    return evaluate(evaluation, offline_outcomes(drives, networks, options), Console(quiet=True))


def test_two_runs_agree_to_the_last_digit(tmp_path):
    networks = models("labels", "boxes3")
    for out, workers in (("a", 1), ("b", 1), ("c", 3)):
        run(tmp_path / out, [StandInDrive("one", 5), StandInDrive("two", 4)], networks, workers)

    first, second, parallel = (without_times(tmp_path / out) for out in "abc")
    assert first == second == parallel
    assert len(first[1]) == 18


def test_everything_is_written(tmp_path):
    usage = ResourceUsage(cpu_percent=Usage(mean=1, max=2), memory_mib=Usage(mean=1, max=2), samples=1)
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames" / "of_an_earlier_run.jsonl").write_text("{}\n")
    drives = [StandInDrive("drive", 4, poisoned=(2,), losses=["the end is missing"]), StandInDrive("empty", 0)]
    evaluated = run(tmp_path, drives, models("raises", "boxes"), resources=lambda: {"boxes": usage}, notes=("Mind.",))

    metrics = json.loads((tmp_path / "metrics.json").read_text())
    jsonschema.validate(metrics, json_schema())
    assert EvaluationResults.model_validate(metrics) == evaluated.results
    assert evaluated.report == tmp_path / "report.html"
    assert evaluated.report.is_file()
    assert sorted(file.name for file in tmp_path.glob("frames/*")) == ["drive.jsonl", "empty.jsonl"]
    drive, empty = evaluated.results.run.bags
    assert (drive.frames, drive.labelled_frames, drive.frames_with_objects) == (4, 4, 4)
    assert drive.losses == ("the end is missing",)
    assert empty.frames == 0
    labels, boxes = evaluated.results.models
    assert labels.frames.dropped_by_reason == {"processing_failed": 1}
    assert (boxes.frames.out, boxes.resources) == (4, usage)
    assert evaluated.results.notes[:2] == (
        "Mind.",
        "raises: processing_failed, the first time: ValueError: a poisoned cloud.",
    )
    assert not evaluated.results.run.partial


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_what_was_done(tmp_path, number):
    drive = Interrupting(expected_frames=1000)
    drive.number = number
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    evaluated = run(tmp_path, [drive], models("labels"))

    assert evaluated.signal == number
    assert evaluated.results.run.partial
    assert "interrupted" in evaluated.results.notes[0]
    jsonschema.validate(json.loads((tmp_path / "metrics.json").read_text()), json_schema())
    done = list(read_records([tmp_path / "frames" / "drive.jsonl"]))
    assert [record.index for record in done] == list(range(len(done)))
    assert len(done) == evaluated.results.models[0].frames.in_ <= Interrupting.at
    assert "interrupted" in evaluated.report.read_text()
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_an_evaluation_that_cannot_go_on_is_reported_as_far_as_it_came(tmp_path):
    drive = StandInDrive(expected_frames=20, poisoned=tuple(range(3, 20)))
    evaluated = run(tmp_path, [drive], models("dies"), workers=1)

    assert "again and again" in evaluated.problem
    assert evaluated.results.run.partial
    assert evaluated.results.models[0].frames.out == 3


def test_an_evaluation_that_cannot_begin_writes_nothing(tmp_path):
    with pytest.raises(ConfigurationError, match="no weights"):
        run(tmp_path, [StandInDrive()], models("missing"))
    assert not (tmp_path / "metrics.json").exists()


def test_bags_without_frames_are_evaluated_to_nothing(tmp_path):
    evaluated = run(tmp_path, [StandInDrive(expected_frames=0)], models("labels", "boxes"))

    assert [model.frames.in_ for model in evaluated.results.models] == [0, 0]
    jsonschema.validate(json.loads((tmp_path / "metrics.json").read_text()), json_schema())


def test_the_terminal_tells_figures_losses_and_notes(tmp_path, capsys):
    drives = [StandInDrive("drive", 4, poisoned=(2,), losses=["the end is missing"])]
    evaluated = run(tmp_path, drives, models("raises", "boxes"))
    print_results(Console(width=120), evaluated.results, evaluated.report)

    told = capsys.readouterr().out
    for text in ("mIoU 0.", "mAP 1.000", "3 / 4", "1 processing_failed", "lost: the end is missing", "a poisoned cloud",
                 str(tmp_path / "report.html")):  # fmt: skip
        assert text in told


def test_memory_does_not_grow_with_the_bag(tmp_path):
    frames, points = 110, 20_000
    peaks_mib, workers_mib = [], []

    class Watched(StandInDrive):
        def frames(self):
            for index in range(frames):
                if index in (frames // 2, frames - 1):  # by the first, as many bad frames are kept as ever will be
                    peaks_mib.append(tracemalloc.get_traced_memory()[1] / 2**20)
                    workers_mib.append(sum(one.memory_info().rss for one in psutil.Process().children()) / 2**20)
                    tracemalloc.reset_peak()
                yield frame(30 * index, points)  # 3 s apart: worst frames are never of the same moment

    tracemalloc.start()
    run(tmp_path, [Watched("drive", frames, points=points)], models("labels"))
    tracemalloc.stop()
    frame_mib = points * (16 + 24) / 2**20
    assert frame_mib * 10 < peaks_mib[0] < frame_mib * 60  # it was measured, and some 30 frames are kept to be drawn
    assert peaks_mib[1] < 1.1 * peaks_mib[0]
    assert workers_mib[1] < workers_mib[0] + 20 * frame_mib

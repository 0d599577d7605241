"""Bags as tasks on a local Ray: the same figures to the last digit, and what a task that ends is told as."""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import AbstractContextManager

import pytest
from rich.console import Console

from perception.configuration import ConfigurationError
from perception.evaluation.offline import OfflineOptions, offline_outcomes
from perception.evaluation.offline.on_ray import RemoteDrive, connected, ray_outcomes
from perception.evaluation.run import Evaluation, evaluate
from tests.evaluation.evaluations import without_times
from tests.evaluation.stand_in_networks import SETTINGS, StandInDrive, models

OPTIONS = OfflineOptions(workers=1, networks=SETTINGS)


@pytest.fixture(scope="module")
def ray():
    with connected("", 2) as module:
        yield module


def evaluated(out, drives, networks, stream):
    return evaluate(Evaluation(out, networks, drives, "offline"), stream, Console(quiet=True))


def test_the_results_are_those_of_a_serial_run(ray, tmp_path):
    drives = [StandInDrive("one", 5), StandInDrive("empty", 0), StandInDrive("two", 7, poisoned=(3,))]
    networks = models("raises", "boxes3")
    remote = [RemoteDrive(drive) for drive in drives]
    evaluated(tmp_path / "ray", remote, networks, ray_outcomes(ray, remote, networks, OPTIONS))
    evaluated(tmp_path / "serial", drives, networks, offline_outcomes(drives, networks, OPTIONS))

    assert without_times(tmp_path / "ray") == without_times(tmp_path / "serial")
    pictures = [sorted(file.name for file in (tmp_path / out / "pictures").iterdir()) for out in ("ray", "serial")]
    assert pictures[0] == pictures[1]


def test_losses_are_told_and_a_task_that_dies_is_one(ray, tmp_path):
    drives = [StandInDrive("whole", 30, losses=["the end is missing"]), StandInDrive("cut", 30, poisoned=(20,))]
    networks = models("dies")
    remote = [RemoteDrive(drive) for drive in drives]
    found = evaluated(tmp_path, remote, networks, ray_outcomes(ray, remote, networks, OPTIONS))

    whole, cut = found.results.run.bags
    assert (whole.frames, whole.losses) == (30, ("the end is missing",))
    assert cut.frames <= 20
    assert cut.losses == (found.problem,)
    assert found.problem.startswith("the task of cut ended early: ")
    assert found.results.run.partial


def test_a_network_that_does_not_start_is_one_sentence(ray):
    drives = [RemoteDrive(StandInDrive())]
    with pytest.raises(ConfigurationError, match="there are no weights"):
        list(ray_outcomes(ray, drives, models("missing"), OPTIONS))


def test_ctrl_c_while_tasks_work_leaves_what_was_done(ray, tmp_path):
    networks = models("slow")
    remote = [RemoteDrive(StandInDrive("drive", 200))]

    class CtrlC(AbstractContextManager):
        """Interrupts the wait for the frame after the fifth."""

        added = 0

        def __exit__(self, *_):
            pass

        def add(self, outcome):
            self.added += 1
            if self.added == 5:
                threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()

    evaluation = Evaluation(tmp_path, networks, remote, "offline", sinks=[CtrlC()])
    found = evaluate(evaluation, ray_outcomes(ray, remote, networks, OPTIONS), Console(quiet=True))
    assert found.signal == signal.SIGINT
    assert found.results.run.partial
    assert 5 <= found.results.models[0].frames.out < 20


def test_without_ray_it_is_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigurationError, match="Ray is not installed"), connected("", 1):
        pass

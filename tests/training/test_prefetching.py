"""Batches of worker processes: the same as without, in order, with one message for what goes wrong."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from perception.classes import SEMANTIC_KITTI
from perception.configuration import ConfigurationError
from perception.training.batches import make_batch, prefetched, samples_of_part
from perception.training.clouds import LabelledPoints
from perception.training.prefetching import made_ahead
from perception.training.settings import TrainingSettings
from tests.training.conftest import CAR, tiny_drive

TRUCK = SEMANTIC_KITTI.names.index("truck")


@pytest.fixture(scope="module")
def clouds() -> list[LabelledPoints]:
    moments = [moment for seed in (10, 11) for moment in tiny_drive(seed)]
    return [LabelledPoints(moment.frame.cloud.points, moment.class_ids, moment.instance_ids) for moment in moments]


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_make_the_same_batches(settings: TrainingSettings, clouds: list[LabelledPoints], workers: int) -> None:
    augmentation = settings.augmentation.model_copy(update={"paste": 2.0})
    settings = settings.model_copy(update={"augmentation": augmentation})
    clouds = [replace(cloud, class_ids=np.where(cloud.class_ids == CAR, TRUCK, cloud.class_ids)) for cloud in clouds]
    jobs = [samples_of_part(step, 0, 1, settings.batch_size) for step in range(3, 9)]
    expected = list(prefetched(jobs, clouds, settings))
    made = list(prefetched(jobs, clouds, settings.model_copy(update={"workers": workers})))
    assert len(made) == len(expected) == 6
    for one, other in zip(expected, made, strict=True):
        assert one.features.equal(other.features)
        assert one.classes.equal(other.classes)
        for stride in (1, 2, 4, 8, 16):
            np.testing.assert_array_equal(one.tables.coords(stride), other.tables.coords(stride))
            np.testing.assert_array_equal(one.tables.submanifold(stride), other.tables.submanifold(stride))
        for stride in (1, 4, 16):
            for array, same in zip(one.tables.corners(stride), other.tables.corners(stride), strict=True):
                np.testing.assert_array_equal(array, same)


def test_tables_that_were_pickled_still_give_what_was_not_computed_yet(
    settings: TrainingSettings, clouds: list[LabelledPoints]
) -> None:
    batch = make_batch([0, 1], clouds, settings)
    copy = pickle.loads(pickle.dumps(batch))
    for array, same in zip(batch.tables.corners(8), copy.tables.corners(8), strict=True):
        np.testing.assert_array_equal(array, same)


def _square(number: int) -> int:
    if number == 5:
        raise ConfigurationError("five is not allowed")
    if number == 6:
        os._exit(1)
    return number * number


@pytest.fixture
def new_children() -> Callable[[], set[psutil.Process]]:
    """Processes of this one that were not there before: other tests leave Python's own resource tracker."""
    before = set(psutil.Process().children())
    return lambda: set(psutil.Process().children()) - before


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_order_is_kept_and_an_error_comes_at_its_turn(
    workers: int, new_children: Callable[[], set[psutil.Process]]
) -> None:
    assert list(made_ahead(_square, range(5), workers)) == [0, 1, 4, 9, 16]
    results = made_ahead(_square, range(6), workers)
    assert [next(results) for _ in range(5)] == [0, 1, 4, 9, 16]
    with pytest.raises(ConfigurationError, match=r"^five is not allowed$"):
        next(results)
    assert not new_children()


def test_a_worker_that_dies_is_one_sentence(new_children: Callable[[], set[psutil.Process]]) -> None:
    with pytest.raises(ConfigurationError, match="use fewer workers") as caught:
        list(made_ahead(_square, [1, 6, 2], 1))
    assert "\n" not in str(caught.value)
    assert not new_children()


def test_who_stops_early_leaves_no_process_behind(new_children: Callable[[], set[psutil.Process]]) -> None:
    results = made_ahead(_square, range(5), 2)
    assert next(results) == 0
    assert len(new_children()) == 2
    results.close()
    assert not new_children()


def test_jobs_are_not_made_far_ahead() -> None:
    asked: list[int] = []

    def endless():
        for number in range(1000):
            asked.append(number)
            yield 1

    results = made_ahead(_square, endless(), 2)
    next(results)
    assert len(asked) == 5
    results.close()


def test_ctrl_c_ends_all_processes_without_a_word(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(
        textwrap.dedent("""
        import time
        from perception.training.prefetching import made_ahead

        def make(job):
            time.sleep(0.05)
            return job

        try:
            for number in made_ahead(make, range(10_000), 2):
                print(number, flush=True)
        except KeyboardInterrupt:
            raise SystemExit(130)
        """)
    )
    process = subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "0\n"
    workers = psutil.Process(process.pid).children()
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors == ""
    assert len(workers) == 2
    assert not any(worker.is_running() for worker in workers)

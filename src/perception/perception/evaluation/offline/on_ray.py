"""Many bags as tasks on Ray: each works on one bag like a worker here does, on one core of some machine.

A task gives back every frame with its results, so that the process that reports can draw the worst of them: some
3 MB a frame of 120,000 points, through shared memory on one machine.
"""

from __future__ import annotations

import importlib
import os
import signal
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, TypeAlias

import numpy as np

from perception.configuration import ConfigurationError
from perception.data.drive import DriveFrame
from perception.evaluation.drives import EvaluatedDrive
from perception.evaluation.models import EvaluatedModel
from perception.evaluation.offline.jobs import Answer, FrameEvaluator, frame_jobs
from perception.evaluation.offline.outcomes import OfflineOptions, outcome_of
from perception.evaluation.outcomes import FrameOutcome
from perception.evaluation.records import FrameRecord
from perception.types import PointCloud

#: Frames that a task may be ahead of whoever takes them: bounds the memory.
FRAMES_AHEAD = 4
#: What a task gives: a frame with an answer a network, or in the end what was lost of the bag.
Item: TypeAlias = "tuple[DriveFrame, list[Answer]] | list[str]"


@dataclass
class RemoteDrive:
    """A bag that a task reads: what is told of it here."""

    drive: EvaluatedDrive
    #: What the task could not read, and why it ended early, if it did.
    losses: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.name, self.duration_s = self.drive.name, self.drive.duration_s
        self.expected_frames = self.drive.expected_frames

    def frames(self) -> Iterator[DriveFrame]:
        """Read it here."""
        return self.drive.frames()


@contextmanager
def connected(address: str, cores: int) -> Iterator[Any]:
    """Connect with a Ray cluster, or start one on this machine for as long as the block runs.

    Args:
        address: of the cluster, as ray.init takes it; empty: one on this machine.
        cores: of this machine that may be used.

    Raises:
        ConfigurationError: Ray is not installed, or there is no such cluster.
    """
    try:
        ray = importlib.import_module("ray")
    except ImportError:
        raise ConfigurationError("--ray: Ray is not installed; `pip install ray`, or leave out --ray") from None
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    where = {"address": address} if address else {"num_cpus": cores, "include_dashboard": False}
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        ray.init(**where, log_to_driver=False, configure_logging=False)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ConfigurationError(f"--ray {address}: no connection ({error})") from None
    finally:
        for number, handler in handlers.items():  # Ray puts its own in their place
            signal.signal(number, handler)
    try:
        yield ray
    finally:
        ray.shutdown()


def ray_outcomes(
    ray: Any, drives: Sequence[RemoteDrive], models: Sequence[EvaluatedModel], options: OfflineOptions
) -> Generator[tuple[FrameOutcome, FrameRecord], None, None]:
    """Give every frame of every drive to every network, a task a drive; see `offline_outcomes`.

    Yields:
        outcomes and records: those of one drive in order, the drives as they come.

    Raises:
        ConfigurationError: tasks ended early, told when the others are done.
    """
    settings = {"num_cpus": 1, "num_returns": "streaming", "max_retries": 0}
    task = ray.remote(**settings, _generator_backpressure_num_objects=FRAMES_AHEAD)(evaluate_drive)
    there = replace(options, on_problem=OfflineOptions.on_problem)  # what is told, is told here
    running = {task.remote(one.drive, models, there): one for one in drives}
    counts = {one.name: 0 for one in drives}
    failures: list[str] = []
    while running:
        (ready,), _ = ray.wait(list(running), num_returns=1)
        drive = running[ready]
        try:
            item: Item = ray.get(next(ready))
        except StopIteration:
            del running[ready]
        except ray.exceptions.RayError as error:
            failures.append(f"the task of {drive.name} ended early: {_reason(error)}")
            drive.losses.append(failures[-1])
            del running[ready]
        else:
            if isinstance(item, list):
                drive.losses.extend(item)
                continue
            moment, answers = item
            for model, answer in zip(models, answers, strict=True):
                yield outcome_of(drive.name, counts[drive.name], moment, model, answer, options)
            counts[drive.name] += 1
    if failures:
        raise ConfigurationError(failures[0] + (f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""))


def evaluate_drive(drive: EvaluatedDrive, models: Sequence[EvaluatedModel], options: OfflineOptions) -> Iterator[Item]:
    """Evaluate one drive in this process."""
    evaluator = FrameEvaluator(models, options.networks, options.label_set, options.criteria)
    frames = islice(drive.frames(), options.limit)
    for job in frame_jobs(drive.name, frames, models, options.networks.max_sweep_age_s):
        yield _light(job.moment), [evaluator(job, number) for number in range(len(models))]
    yield list(drive.losses)


def _light(moment: DriveFrame) -> DriveFrame:
    """What is needed of a frame to draw it."""
    cloud = PointCloud(np.ascontiguousarray(moment.frame.cloud.points))
    return replace(moment, frame=replace(moment.frame, cloud=cloud), instance_ids=None, message=None)


def _reason(error: Exception) -> str:
    """One line: what the task raised, or what became of it."""
    cause = getattr(error, "cause", None) or error
    return " ".join(str(cause).split())

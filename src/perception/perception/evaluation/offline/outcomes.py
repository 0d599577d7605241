"""The outcomes of an offline evaluation, in the order of bags, frames and networks, whoever worked on them."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

from perception.configuration import ConfigurationError
from perception.data.drive import DriveFrame
from perception.evaluation.criteria import DetectionCriteria
from perception.evaluation.drives import EvaluatedDrive
from perception.evaluation.models import EvaluatedModel
from perception.evaluation.offline.jobs import Answer, FrameEvaluator, FrameJob, frame_jobs
from perception.evaluation.offline.network import NetworkSettings
from perception.evaluation.offline.pool import Died, WorkerPool
from perception.evaluation.outcomes import FrameOutcome
from perception.evaluation.records import FrameRecord

WORKER_ENDED = "worker_ended"


@dataclass(frozen=True)
class OfflineOptions:
    """How an offline evaluation works.

    Attributes:
        workers: processes; by default one a core.
        limit: frames of each bag at most; None: all.
        label_set: in whose classes labels are judged; None: the network's own.
        criteria: which objects count.
        networks: how networks are run.
        on_problem: told of frames that gave no result: network, reason, and a sentence.
    """

    workers: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))
    limit: int | None = None
    label_set: str | None = None
    criteria: DetectionCriteria = field(default_factory=DetectionCriteria)
    networks: NetworkSettings = field(default_factory=NetworkSettings)
    on_problem: Callable[[str, str, str], object] = lambda model, reason, problem: None

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ConfigurationError(f"--workers: expected 1 or more, found {self.workers}")


def offline_outcomes(
    drives: Iterable[EvaluatedDrive], models: Sequence[EvaluatedModel], options: OfflineOptions
) -> Generator[tuple[FrameOutcome, FrameRecord], None, None]:
    """Give every frame of every drive to every network.

    Frames are read here, and worked on by processes of one thread each; the results do not depend on their number.

    Yields:
        outcomes and records, drive by drive, frame by frame, network by network.

    Raises:
        ConfigurationError: a network does not start, a bag cannot be read, or workers end again and again.
    """
    max_age_s = options.networks.max_sweep_age_s
    jobs = (
        (job, len(models))
        for drive in drives
        for job in frame_jobs(drive.name, islice(drive.frames(), options.limit), models, max_age_s)
    )
    start = partial(FrameEvaluator, models, options.networks, options.label_set, options.criteria)
    with WorkerPool(start, options.workers) as pool:
        for job, answers in pool.answers(jobs):
            for model, answer in zip(models, answers, strict=True):
                given = _answer_of_nobody(job, model, answer) if isinstance(answer, Died) else answer
                yield outcome_of(job.bag, job.index, job.moment, model, given, options)


def outcome_of(
    bag: str, index: int, moment: DriveFrame, model: EvaluatedModel, answer: Answer, options: OfflineOptions
) -> tuple[FrameOutcome, FrameRecord]:
    """Put an answer beside its frame, and tell of a problem."""
    if answer.dropped:
        options.on_problem(model.name, answer.dropped, answer.problem)
    given = answer.result, answer.dropped, answer.stage_ms
    return FrameOutcome(bag, index, moment, model.name, *given), answer.record


def _answer_of_nobody(job: FrameJob, model: EvaluatedModel, died: Died) -> Answer:
    cloud, stamp_ns = job.moment.frame.cloud, job.moment.frame.stamp_ns
    record = FrameRecord(
        bag=job.bag, index=job.index, model=model.name, stamp_ns=stamp_ns, points=len(cloud), dropped=WORKER_ENDED
    )
    return Answer(None, WORKER_ENDED, {}, record, died.reason)

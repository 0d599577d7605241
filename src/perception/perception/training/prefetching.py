"""Things made ahead of their use, by another thread or other processes, and handed over in order."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

import torch

from perception.configuration import ConfigurationError

Job = TypeVar("Job")
Result = TypeVar("Result")

_make: Callable[[Any], Any]  # of a worker process


def made_ahead(make: Callable[[Job], Result], jobs: Iterable[Job], workers: int) -> Iterator[Result]:
    """Make things in the background, a few ahead of their use.

    Worker processes are forked, so that `make` and all that it holds is shared, not copied. What it makes comes back
    by pickle: for the tables of two clouds, 31 MB, that takes the main process 30 ms, in a thread of its own.

    Args:
        make: makes a thing from a job; must not use a GPU.
        jobs: in the order in which their things are wanted.
        workers: processes; with 0, one thread of this process.

    Yields:
        the things, in the order of the jobs.

    Raises:
        ConfigurationError: a worker died.
        Exception: whatever `make` raises, when its thing's turn comes.
    """
    executor = _processes(make, workers) if workers else ThreadPoolExecutor(max_workers=1)
    task: Callable[[Job], Result] = _made_by_worker if workers else make
    coming: deque[Future[Result]] = deque()
    try:
        for job in jobs:
            coming.append(executor.submit(task, job))
            if len(coming) > max(1, 2 * workers):
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()
    except BrokenProcessPool:
        raise ConfigurationError(
            "a worker process of the training ended abruptly, perhaps for want of memory: use fewer workers"
        ) from None
    finally:
        executor.shutdown(cancel_futures=True)


def _processes(make: Callable[[Any], Any], workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, multiprocessing.get_context("fork"), _start_worker, (make,))


def _start_worker(make: Callable[[Any], Any]) -> None:
    """Prepare a forked process.

    Ctrl-C goes to every process of the terminal, and the main process ends the others. OpenMP's threads do not survive
    a fork, and with a process on every core one thread each is best.
    """
    global _make
    _make = make
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)


def _made_by_worker(job: Any) -> Any:
    return _make(job)

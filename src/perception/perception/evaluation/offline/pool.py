"""Worker processes that answer jobs in order, with a bounded number of jobs under way."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import TracebackType
from typing import Any

from perception.configuration import ConfigurationError
from perception.evaluation.offline.transport import receive, send
from perception.evaluation.offline.worker import Failure, Run, serve

#: A worker has the next job at hand while it works on one.
JOBS_AT_ONCE = 2
#: Jobs that are under way or wait for an earlier one, a worker: bounds the memory, whatever the length of a bag.
WINDOW = 3
#: Workers that end one after the other, without an answer in between, before it is given up.
MOST_DEATHS = 3
STOP_TIMEOUT_S = 5.0
#: Workers share the cores by being several: libraries must not start threads of their own in each.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Died:
    """The answer of a worker that ended while it worked on a part; `reason` is for people."""

    reason: str


@dataclass
class Pending:
    """A job under way: how many parts it has, and the answers so far."""

    job: Any
    parts: int
    answers: list[Any] = field(default_factory=list)

    @property
    def is_done(self) -> bool:
        """Whether all parts are answered."""
        return len(self.answers) == self.parts


class Worker:
    """A process, and the jobs that it has."""

    def __init__(self, start: Callable[[], Run], context: Any) -> None:
        self.jobs: deque[Pending] = deque()
        self.is_ready = False
        self.connection: Connection
        self.connection, theirs = context.Pipe()
        self._process: SpawnProcess = context.Process(target=serve, args=(theirs, start), daemon=True)
        with _quiet_start():
            self._process.start()
        theirs.close()

    def give(self, pending: Pending) -> None:
        """Send what is still to be done of a job."""
        self.jobs.append(pending)
        with suppress(OSError):  # it has ended; whoever waits for its answer will notice
            send(self.connection, (pending.job, range(len(pending.answers), pending.parts)))

    def end(self) -> str:
        """Make sure that it is gone; gives how it ended."""
        self.connection.close()
        self._process.join(STOP_TIMEOUT_S if self.is_ready else 0.5)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        code = self._process.exitcode or 0
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.join()
        self.connection.close()


class WorkerPool:
    """Processes that do jobs, as a `with` block; leaving it ends them.

    Args:
        start: called once in each process, gives what does the jobs; it must pickle.
        workers: how many processes.
    """

    def __init__(self, start: Callable[[], Run], workers: int) -> None:
        self._start, self._count = start, workers
        self._context = multiprocessing.get_context("spawn")
        self._workers: list[Worker] = []
        self._deaths = 0

    def __enter__(self) -> WorkerPool:
        self._workers = [Worker(self._start, self._context) for _ in range(self._count)]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.kill()

    def answers(self, jobs: Iterable[tuple[Any, int]]) -> Iterator[tuple[Any, Sequence[Any]]]:
        """Do jobs.

        Args:
            jobs: of each, the job and the number of its parts; taken as they are needed, WINDOW a worker ahead.

        Yields:
            of each job, in their order, the job and its answers, one a part; Died where a worker ended over it.

        Raises:
            ConfigurationError: workers cannot start, or end again and again.
            RuntimeError: a worker raised what none should.
        """
        pending: deque[Pending] = deque()
        waiting = (Pending(job, parts) for job, parts in jobs)
        more = True
        while more or pending:
            while more and len(pending) < WINDOW * self._count and (worker := self._least_busy()):
                following = next(waiting, None)
                more = following is not None
                if following is not None:
                    pending.append(following)
                    worker.give(following)
            if pending and pending[0].is_done:
                done = pending.popleft()
                yield done.job, done.answers
            elif pending:
                self._receive()

    def _least_busy(self) -> Worker | None:
        """The worker with the fewest jobs, unless all have enough."""
        worker = min(self._workers, key=lambda one: len(one.jobs))
        return worker if len(worker.jobs) < JOBS_AT_ONCE else None

    def _receive(self) -> None:
        """Take what has come."""
        by_connection = {worker.connection: worker for worker in self._workers}
        for connection in wait(list(by_connection)):
            worker = by_connection[connection]  # type: ignore[index]
            try:
                answer = receive(worker.connection)
            except (EOFError, OSError):
                self._replace(worker)
                continue
            self._take(worker, answer)

    def _take(self, worker: Worker, answer: Any) -> None:
        if isinstance(answer, Failure):
            raise ConfigurationError(answer.sentence) if answer.sentence else RuntimeError(answer.trace)
        if not worker.is_ready:
            worker.is_ready = True
            return
        self._deaths = 0
        worker.jobs[0].answers.append(answer)
        if worker.jobs[0].is_done:
            worker.jobs.popleft()

    def _replace(self, worker: Worker) -> None:
        """Another process in the place of one that ended: the part that it was at gets no result, the rest is done."""
        how = worker.end()
        self._deaths += 1
        if not worker.is_ready or self._deaths > MOST_DEATHS:
            where = "again and again" if worker.is_ready else "while its networks were starting"
            raise ConfigurationError(f"a worker process ended {where} ({how}); try fewer --workers, for want of memory")
        another = Worker(self._start, self._context)
        self._workers[self._workers.index(worker)] = another
        if worker.jobs:
            worker.jobs[0].answers.append(Died(f"the worker process ended ({how})"))
        for pending in worker.jobs:
            if not pending.is_done:
                another.give(pending)


@contextmanager
def _quiet_start() -> Iterator[None]:
    """Start a process that runs on one thread, and that no Ctrl-C ends before it has said so itself."""
    is_main = threading.current_thread() is threading.main_thread()
    numbers = (signal.SIGINT, signal.SIGTERM) if is_main else ()  # other threads may not set handlers
    handlers = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        for number, handler in handlers.items():
            signal.signal(number, handler)

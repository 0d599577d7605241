"""A worker process: it starts its networks once, then answers job after job until nobody asks any more."""

from __future__ import annotations

import queue
import signal
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, TypeAlias

from perception.configuration import ConfigurationError
from perception.evaluation.offline.transport import receive, send

#: Given a job and the number of one of its parts, does that part.
Run: TypeAlias = Callable[[Any, int], Any]


@dataclass(frozen=True)
class Failure:
    """Why a worker cannot go on: the user's mistake, or a traceback."""

    sentence: str = ""
    trace: str = ""


def serve(connection: Connection, start: Callable[[], Run]) -> None:
    """Say when all has started, then answer (job, parts) by one answer a part.

    Args:
        connection: to the process that asks.
        start: loads whatever the jobs need.
    """
    # These go to the whole process group; it is the asking process that ends this one.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    jobs = _jobs(connection)
    try:
        run = start()
        send(connection, None)
        for job, parts in iter(jobs.get, None):
            for part in parts:
                send(connection, run(job, part))
    except (EOFError, OSError):
        return  # nobody is there any more
    except ConfigurationError as error:
        send(connection, Failure(sentence=str(error)))
    except Exception:
        send(connection, Failure(trace=traceback.format_exc()))


def _jobs(connection: Connection) -> queue.SimpleQueue[Any]:
    """Jobs as they come: received in a thread, so that the next one is there when one is done."""
    jobs: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def listen() -> None:
        try:
            while True:
                jobs.put(receive(connection))
        except (EOFError, OSError):
            jobs.put(None)

    threading.Thread(target=listen, name="jobs", daemon=True).start()
    return jobs

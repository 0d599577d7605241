"""spconv's CPU kernels as a peer, with one thread and in a process of their own.

With more threads spconv 2.3.8 gives results that are wrong by several per cent (a race), and it brings an OpenMP of its
own, whose number of threads is settled when the process starts.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.spconv_peer import worker

NAME = "spconv, 1 thread"


class SpconvPeer:
    """A process that has spconv loaded and runs what was prepared there."""

    def __init__(self, folder: Path) -> None:
        """Start the process; `folder` holds the package spconv."""
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        before = os.environ.get("OMP_NUM_THREADS")
        os.environ["OMP_NUM_THREADS"] = "1"
        try:
            context.Process(target=worker.serve, args=(theirs, str(folder)), daemon=True).start()
        finally:
            os.environ.pop("OMP_NUM_THREADS")
            if before is not None:
                os.environ["OMP_NUM_THREADS"] = before
        self._prepared = 0

    @staticmethod
    def start() -> SpconvPeer | None:
        """Start the process, if spconv is installed here (benchmarks/requirements.txt)."""
        found = importlib.util.find_spec("spconv")
        return None if found is None or found.origin is None else SpconvPeer(Path(found.origin).parents[1])

    def prepare(self, kind: str, *arguments: Any) -> tuple[Callable[[], object], np.ndarray]:
        """Send a call (a key of worker.KINDS) over and run it once: how to run it again, and its result."""
        self._prepared += 1
        name = self._prepared
        result: np.ndarray = self._ask(("prepare", name, kind, arguments))
        return lambda: self._ask(("run", name)), result

    def _ask(self, request: tuple[Any, ...]) -> Any:
        self._connection.send(request)
        return self._connection.recv()

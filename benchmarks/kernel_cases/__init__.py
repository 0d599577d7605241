"""What is timed of each family of kernels: a module here has `cases(context)`, and benchmarks/kernels.py runs them all.

A case sets one of our calls beside a peer that gives the same result: plain PyTorch, another library, or a limit of the
machine measured in the same run.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Context:
    """What all cases of one run share.

    Attributes:
        threads: CPU threads of every call, of ours and of peers where nothing else is said.
        points: float32 [N, 4], one scan of a 64-layer LiDAR: x, y, z in metres, intensity.
        scan: where the points come from.
        sgemm_gflops: rate of a large float32 matrix product in this run.
        copy_gbs: rate of a large copy in this run, bytes read plus bytes written, in 1e9 a second.
        fast: fewer and smaller cases, to try the programs out.
    """

    threads: int
    points: np.ndarray
    scan: str
    sgemm_gflops: float
    copy_gbs: float
    fast: bool = False

    def limit_ms(self, flops: float, moved_bytes: float) -> float:
        """Time that the machine needs at least: its arithmetic or its memory, whichever takes longer."""
        return max(1e-6 * flops / self.sgemm_gflops, 1e-6 * moved_bytes / self.copy_gbs)


@dataclass(frozen=True)
class Case:
    """One of our calls beside a peer.

    Attributes:
        name: operation and size.
        ours: the call to time; None where `ours_ms` is given.
        peer_name: who the peer is.
        peer: the peer's call; None where `peer_ms` is given or there is no peer.
        required: least ratio of the peer's time to ours; None: shown only.
        peer_ms: a time that is not measured by calling, such as a limit.
        note: one remark for the table.
        ours_ms: a time that was taken already, as of one part of a call.
    """

    name: str
    ours: Callable[[], object] | None
    peer_name: str = ""
    peer: Callable[[], object] | None = None
    required: float | None = None
    peer_ms: float | None = None
    note: str = ""
    ours_ms: float | None = None


def fastest_ms(call: Callable[[], object], least_runs: int = 5, budget_s: float = 1.0) -> float:
    """Time the fastest of several runs after one to warm up: at least `least_runs`, more within the budget."""
    return fastest_of_each_ms([call], least_runs, budget_s)[0]


def fastest_of_each_ms(calls: list[Callable[[], object]], least_runs: int = 5, budget_s: float = 2.0) -> list[float]:
    """Time calls in turn, so that a slow spell of the machine meets all of them: the fastest run of each."""
    for call in calls:
        call()
    fastest = [np.inf] * len(calls)
    start_s = time.perf_counter()
    for run in range(200):
        spent_s = time.perf_counter() - start_s
        if (run >= least_runs and spent_s > budget_s) or (run > 0 and spent_s > 25):
            break
        for i, call in enumerate(calls):
            begin = time.perf_counter()
            call()
            fastest[i] = min(fastest[i], 1e3 * (time.perf_counter() - begin))
    return fastest


def real_scan(top: Path) -> Path | None:
    """The SemanticKITTI scan beside the checkout, if it is there."""
    path = top.parent / "shared" / "data" / "semantickitti_sample" / "000000.bin"
    return path if path.is_file() else None

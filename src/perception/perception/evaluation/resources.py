"""What processes take from the machine while they work: cores, memory, GPU, power."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import psutil

from perception.evaluation.results import ResourceUsage, Usage
from perception.runtime.device.figures import DeviceFigures, read_device

INTERVAL_S = 0.5


class ResourceSampler:
    """Samples processes, all that they start, and their device, in a thread of its own, as a `with` block."""

    def __init__(
        self,
        pids: Iterable[int] | None = None,
        device: str = "cpu",
        interval_s: float = INTERVAL_S,
        root: Path = Path("/"),
    ) -> None:
        """Choose what to watch.

        Args:
            pids: the processes; their children count as well. By default this process.
            device: cpu, cuda or cuda:N; figures of a GPU hold what others do with it too.
            interval_s: between samples.
            root: the folder in which a board's /sys, /proc and /etc are found.
        """
        self._roots = _processes([os.getpid()] if pids is None else pids)
        self._device, self._root, self._interval_s = device, root, interval_s
        self._cores = _Cores()
        self._memory_mib: list[float] = []
        self._figures: list[DeviceFigures] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="resource sampler", daemon=True)

    def __enter__(self) -> ResourceSampler:
        self._cores.sample(self._alive())
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        if not self._memory_mib:  # shorter than one interval
            self._sample()

    def usage(self) -> ResourceUsage | None:
        """Sum up the samples so far; None where no process was there to be watched."""
        if not self._memory_mib:
            return None
        loads = [100 * figures.load for figures in self._figures if figures.load is not None]
        used = [one.memory_used_bytes / 2**20 for one in self._figures if one.memory_used_bytes is not None]
        return ResourceUsage(
            cpu_percent=Usage(mean=self._cores.mean_percent, max=self._cores.max_percent),
            memory_mib=Usage(mean=sum(self._memory_mib) / len(self._memory_mib), max=max(self._memory_mib)),
            gpu_percent=_usage(loads),
            gpu_memory_mib=_usage(used),
            power_w=_usage([figures.power_w for figures in self._figures if figures.power_w is not None]),
            samples=len(self._memory_mib),
        )

    def _watch(self) -> None:
        while not self._ended.wait(self._interval_s):
            self._sample()

    def _sample(self) -> None:
        alive = self._alive()
        if not alive:
            return
        self._cores.sample(alive)
        self._memory_mib.append(sum(map(_memory_bytes, alive)) / 2**20)
        self._figures.append(read_device(self._device, self._root))

    def _alive(self) -> list[psutil.Process]:
        found = dict.fromkeys(self._roots)
        for process in self._roots:
            try:
                found.update(dict.fromkeys(process.children(recursive=True)))
            except psutil.Error:  # it has ended
                continue
        return [process for process in found if process.is_running()]


class UsageLog:
    """What processes took over several stretches of time, each of which counts as long as it lasted.

    Args:
        device: as of ResourceSampler.
    """

    def __init__(self, device: str = "cpu") -> None:
        self._device = device
        self._stretches: list[ResourceUsage] = []

    @contextmanager
    def watch(self, pids: Iterable[int]) -> Iterator[None]:
        """Sample processes, and all that they start, for as long as the `with` block lasts."""
        with ResourceSampler(pids, self._device) as sampler:
            yield
        self._stretches.extend(filter(None, [sampler.usage()]))

    def usage(self) -> ResourceUsage | None:
        """Sum all stretches up; None before the first."""
        if not self._stretches:
            return None
        names = ("cpu_percent", "memory_mib", "gpu_percent", "gpu_memory_mib", "power_w")
        samples = sum(stretch.samples for stretch in self._stretches)
        return ResourceUsage.model_validate({name: self._merged(name) for name in names} | {"samples": samples})

    def _merged(self, name: str) -> Usage | None:
        known = [(usage, one.samples) for one in self._stretches if (usage := getattr(one, name)) is not None]
        if not known:
            return None
        mean = sum(usage.mean * samples for usage, samples in known) / sum(samples for _, samples in known)
        return Usage(mean=mean, max=max(usage.max for usage, _ in known))


class _Cores:
    """The share of cores that processes used between samples; 100 is one core.

    What a process did after its last sample is not seen.
    """

    def __init__(self) -> None:
        self._used_s: dict[psutil.Process, float] = {}
        self._began_s = self._last_s = 0.0
        self._sum_s = 0.0
        self.max_percent = 0.0

    @property
    def mean_percent(self) -> float:
        passed_s = self._last_s - self._began_s
        return 100 * self._sum_s / passed_s if passed_s else 0.0

    def sample(self, processes: Sequence[psutil.Process]) -> None:
        """Take the time that each process has used so far; of one that is new since the first sample all counts."""
        now_s, first = time.monotonic(), not self._used_s
        used_s = {process: _cpu_time_s(process) for process in processes}
        if first:
            self._began_s = now_s
        else:
            spent_s = sum(max(0.0, used - self._used_s.get(process, 0.0)) for process, used in used_s.items())
            self._sum_s += spent_s
            self.max_percent = max(self.max_percent, 100 * spent_s / (now_s - self._last_s))
        self._used_s.update(used_s)
        self._last_s = now_s


def _processes(pids: Iterable[int]) -> list[psutil.Process]:
    found = []
    for pid in pids:
        try:
            found.append(psutil.Process(pid))
        except psutil.NoSuchProcess:
            continue
    return found


def _cpu_time_s(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)


def _memory_bytes(process: psutil.Process) -> int:
    """Resident memory, of what is shared between processes only the process' part; all of it where Linux hides that."""
    try:
        return int(process.memory_full_info().pss)
    except psutil.AccessDenied:
        pass
    except psutil.Error:
        return 0
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def _usage(samples: Sequence[float]) -> Usage | None:
    return Usage(mean=sum(samples) / len(samples), max=max(samples)) if samples else None

"""What processes take: made-up load, a made-up board."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
import time

import psutil
import pytest

from perception.evaluation import resources
from perception.evaluation.resources import ResourceSampler, UsageLog
from perception.evaluation.results import ResourceUsage, Usage
from perception.runtime.device.figures import DeviceFigures

BUSY = "while True: pass"
HOLD = "block = bytearray(b'x') * (200 << 20)\nprint(1, flush=True)\nimport time\ntime.sleep(60)"
#: A process that does nothing but wait for one that works.
PARENT = f"import subprocess, sys\nprint(1, flush=True)\nsubprocess.run([sys.executable, '-c', {BUSY!r}])"


@pytest.fixture
def start():
    """Start Python code that says when it is ready; what it started ends with it."""
    started = []

    def one(code: str) -> int:
        started.append(subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE))
        assert started[-1].stdout.readline()
        return started[-1].pid

    yield one
    for process in started:
        for child in [*psutil.Process(process.pid).children(recursive=True), process]:
            child.kill()
        process.wait()


def test_children_count(start):
    pid = start(PARENT)
    with ResourceSampler([pid], interval_s=0.05) as sampler:
        (child,) = wait_for_children(pid)
        before_s, began_s = cpu_time_s(child), time.monotonic()
        time.sleep(0.6)
        spent_percent = 100 * (cpu_time_s(child) - before_s) / (time.monotonic() - began_s)
    usage = sampler.usage()
    # The machine may be busy with others: what Linux says that the child used is the measure. Its clock has 10 ms.
    assert usage.cpu_percent.mean == pytest.approx(spent_percent, abs=25)
    assert usage.cpu_percent.mean > 0
    assert usage.cpu_percent.max >= usage.cpu_percent.mean
    assert usage.samples >= 1


def wait_for_children(pid):
    for _ in range(200):
        if children := psutil.Process(pid).children():
            return children
        time.sleep(0.02)
    raise AssertionError("no child")


def cpu_time_s(process):
    times = process.cpu_times()
    return times.user + times.system


def test_what_was_used_before_does_not_count(monkeypatch):
    cores = resources._Cores()
    now, used = iter([10.0, 11.0, 13.0]), {"a": 100.0, "b": 0.0}
    monkeypatch.setattr(resources.time, "monotonic", lambda: next(now))
    monkeypatch.setattr(resources, "_cpu_time_s", used.__getitem__)
    cores.sample(["a"])
    used["a"] = 101.5  # 1.5 s in one second
    cores.sample(["a"])
    used.update(a=102.0, b=1.0)  # 0.5 s, and 1 s of one that is new, in two seconds
    cores.sample(["a", "b"])
    assert cores.mean_percent == pytest.approx(100 * 3 / 3)
    assert cores.max_percent == pytest.approx(150)


def test_memory_is_what_was_touched(start):
    with ResourceSampler([start(HOLD)], interval_s=0.05) as sampler:
        time.sleep(0.2)
    assert 200 <= sampler.usage().memory_mib.mean <= sampler.usage().memory_mib.max < 300


def test_shared_memory_counts_once():
    size = 64 << 20
    block = mmap.mmap(-1, size)
    block[:] = b"x" * size
    alone = resources._memory_bytes(psutil.Process())
    children = []
    for _ in range(2):
        if (pid := os.fork()) == 0:
            assert sum(block[::4096]) >= 0  # touch every page
            time.sleep(60)
            os._exit(0)
        children.append(pid)
    try:
        time.sleep(0.3)
        with ResourceSampler(interval_s=0.05) as sampler:
            pass
        assert sampler.usage().memory_mib.max < (alone + size) / 2**20
    finally:
        for pid in children:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
        block.close()


def test_a_short_block_is_sampled_once():
    with ResourceSampler(interval_s=60) as sampler:
        assert sampler.usage() is None
    usage = sampler.usage()
    assert usage.samples == 1
    assert usage.memory_mib.max > 1
    assert usage.gpu_percent is None


def test_the_device_is_asked_where_there_is_one(tmp_path):
    files = {
        "proc/device-tree/model": "NVIDIA Jetson Orin Nano\0",
        "proc/meminfo": "MemTotal: 8000000 kB\nMemAvailable: 6976000 kB\n",
        "sys/class/devfreq/17000000.gpu/device/load": "250\n",
        "sys/class/hwmon/hwmon1/name": "ina3221\n",
        "sys/class/hwmon/hwmon1/in1_label": "VDD_IN\n",
        "sys/class/hwmon/hwmon1/in1_input": "5000\n",
        "sys/class/hwmon/hwmon1/curr1_input": "1500\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    with ResourceSampler(interval_s=60, root=tmp_path) as sampler:
        pass
    usage = sampler.usage()
    assert (usage.gpu_percent.mean, usage.power_w.max) == (25.0, 7.5)
    assert usage.gpu_memory_mib.max == 1000


def test_samples_of_the_device_are_summed_up(monkeypatch):
    answers = iter([DeviceFigures(load=0.2, power_w=10.0), DeviceFigures(), DeviceFigures(load=0.4)])
    monkeypatch.setattr(resources, "read_device", lambda device, root: next(answers))
    sampler = ResourceSampler(interval_s=60, device="cuda")
    with sampler:
        sampler._sample()
        sampler._sample()
        sampler._sample()
    usage = sampler.usage()
    assert (usage.gpu_percent.mean, usage.gpu_percent.max) == pytest.approx((30, 40))
    assert (usage.power_w.mean, usage.power_w.max) == (10.0, 10.0)
    assert usage.gpu_memory_mib is None


def test_processes_that_are_gone_are_unknown():
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    with ResourceSampler([ended.pid], interval_s=60) as sampler:
        pass
    assert sampler.usage() is None


def test_stretches_of_time_count_as_long_as_they_lasted(monkeypatch):
    def usage(cpu_percent, power_w, samples):
        known = Usage(mean=cpu_percent, max=cpu_percent + 10)
        power = None if power_w is None else Usage(mean=power_w, max=power_w)
        return ResourceUsage(cpu_percent=known, memory_mib=known, power_w=power, samples=samples)

    usages = iter([usage(100, None, 1), None, usage(40, 7, 3)])
    monkeypatch.setattr(ResourceSampler, "usage", lambda sampler: next(usages))
    log = UsageLog()
    assert log.usage() is None
    for _ in range(3):
        with log.watch([os.getpid()]):
            pass
    total = log.usage()
    assert (total.cpu_percent, total.memory_mib) == (Usage(mean=55, max=110),) * 2
    assert (total.power_w, total.gpu_percent, total.samples) == (Usage(mean=7, max=7), None, 4)

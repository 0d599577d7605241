"""Time every operation on a GPU beside what its memory and its arithmetic allow (a part of make gpu-check).

    python -m benchmarks.gpu_operations RESULTS.json [--device cuda] [--fast]

A floor is the bytes that an operation has to move over the bandwidth of a large copy, or its arithmetic over the rate
of a large matrix product (float32, or float16 on tensor cores), whichever is longer; both rates are measured in the
same run. `--device emulated --fast` runs every call once on the emulated GPU, to try this program out.
"""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

TOP = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP))

from tests.ops.devices import Device  # noqa: E402


@dataclass(frozen=True)
class Operation:
    """One call and what it costs at least.

    Attributes:
        name: operation and size.
        call: the call to time.
        moved_bytes: inputs read once and outputs written once.
        flops: multiplications and additions.
        tensor_cores: whether the arithmetic may run on tensor cores.
    """

    name: str
    call: Callable[[], object]
    moved_bytes: float
    flops: float = 0.0
    tensor_cores: bool = False


@dataclass(frozen=True)
class Rates:
    """What the GPU reaches on large, simple work."""

    copy_gbs: float
    float32_tflops: float
    float16_tflops: float

    def floor_us(self, operation: Operation) -> float:
        """Time that an operation needs at least."""
        tflops = self.float16_tflops if operation.tensor_cores else self.float32_tflops
        return max(1e-3 * operation.moved_bytes / self.copy_gbs, 1e-6 * operation.flops / tflops)


class Setting:
    """Inputs that families share, on the device.

    Attributes:
        device: where calls run.
        points: float32 [N, 4], a scan made up from rings on a ground and walls.
        fast: small sizes, each call once.
    """

    def __init__(self, device: Device, fast: bool) -> None:
        self.device = device
        self.fast = fast
        self.random = np.random.default_rng(0)
        self.points = made_up_scan(rings=8 if fast else 64, steps=40 if fast else 1900)

    def floats(self, *shape: int, dtype: type = np.float32) -> object:
        """Normal numbers on the device."""
        return self.device.array(self.random.standard_normal(shape).astype(dtype))


def made_up_scan(rings: int, steps: int) -> np.ndarray:
    """Draw what a spinning LiDAR 1.7 m above a road between walls would see: float32 [rings * steps, 4]."""
    elevation, azimuth = np.meshgrid(np.radians(np.linspace(-24, 3, rings)), np.linspace(-np.pi, np.pi, steps))
    wall_m = 12 + 6 * np.sign(np.sin(5 * azimuth)) + np.abs(15 / np.cos(azimuth / 2.2))
    ground_m = np.where(elevation < -0.01, -1.7 / np.sin(np.minimum(elevation, -0.01)), np.inf)
    range_m = np.minimum(wall_m / np.cos(elevation), ground_m)
    xyz = range_m[..., None] * np.stack(
        [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)], -1
    )
    return np.concatenate([xyz, np.full_like(range_m, 0.3)[..., None]], -1).reshape(-1, 4).astype(np.float32)


def measure_rates() -> Rates:
    """Time a copy of 1 GiB and matrix products of 8192."""
    import torch

    torch.backends.cuda.matmul.allow_tf32 = False
    source = torch.empty(2**28, device="cuda")
    target = torch.empty_like(source)
    copy_us = median_us(lambda: target.copy_(source))
    rates = []
    for dtype in (torch.float32, torch.float16):
        square = torch.randn(8192, 8192, device="cuda").to(dtype)
        product = torch.empty_like(square)
        rates.append(1e-6 * 2 * 8192**3 / median_us(lambda a=square, b=product: torch.mm(a, a, out=b), 5))
    return Rates(2e-3 * source.nbytes / copy_us, *rates)


def median_us(call: Callable[[], object], runs: int = 20) -> float:
    """Time by events on the stream, after three runs to warm up."""
    import torch

    times = []
    for run in range(runs + 3):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        call()
        end.record()
        end.synchronize()
        if run >= 3:
            times.append(1e3 * begin.elapsed_time(end))
    return statistics.median(times)


def once_us(call: Callable[[], object]) -> float:
    """Time one run by the clock."""
    start_s = time.perf_counter()
    call()
    return 1e6 * (time.perf_counter() - start_s)


def main() -> None:
    """Time the operations of every family; one that fails is named and ends its family only."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--device", choices=("cuda", "emulated"), default="cuda")
    parser.add_argument("--fast", action="store_true")
    arguments = parser.parse_args()
    from benchmarks import gpu_cases

    emulated = arguments.device == "emulated"
    setting = Setting(Device(arguments.device), arguments.fast)
    rates = Rates(10.0, 0.01, 0.01) if emulated else measure_rates()
    timer = once_us if emulated else median_us
    rows, failed = [], []
    for module in pkgutil.iter_modules(gpu_cases.__path__):
        family = importlib.import_module(f"benchmarks.gpu_cases.{module.name}").operations(setting)
        name = f"preparing {module.name}"
        try:
            for operation in family:
                name = operation.name
                time_us, floor_us = timer(operation.call), rates.floor_us(operation)
                row = {"name": name, "time_us": time_us, "floor_us": floor_us, "fraction": floor_us / time_us}
                rows.append(row)
        except Exception as error:  # the other families are still worth having
            failed.append(f"{name}: {error}")
    arguments.results.write_text(json.dumps({"rates": vars(rates), "operations": rows, "failed": failed}, indent=1))
    print("\n".join(failed), file=sys.stderr)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

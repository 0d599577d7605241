"""Call every operation with random shapes and contents for a while; run it with sanitizers (make fuzz).

    python -m tests.kernels.fuzz [--seconds 60] [--seed 1] [--device emulated] [--only NAME]

A call may refuse its arguments with a sentence. Anything else (a crash, another exception, a sanitizer's report) ends
the program, after a line with the operation and the seed that repeats it.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
import time
from collections import Counter
from collections.abc import Callable

import numpy as np

from tests.kernels import fuzz_cases
from tests.kernels.drawing import Draw
from tests.ops.devices import KINDS, Device

REFUSALS = (ValueError, MemoryError, NotImplementedError)


def all_cases() -> dict[str, Callable[[Draw], object]]:
    """Collect the functions fuzz_* of every module of fuzz_cases."""
    cases = {}
    for module in pkgutil.iter_modules(fuzz_cases.__path__):
        contents = vars(importlib.import_module(f"tests.kernels.fuzz_cases.{module.name}"))
        cases |= {name[5:]: value for name, value in contents.items() if name.startswith("fuzz_")}
    return cases


def run_once(name: str, case: Callable[[Draw], object], seed: int, device: Device) -> bool:
    """Run one case; whether it was refused."""
    try:
        with np.errstate(all="ignore"):
            case(Draw(seed, device))
    except REFUSALS as refusal:
        if len(str(refusal)) < 10:
            raise AssertionError(f"{name} refuses without a sentence (seed {seed})") from refusal
        return True
    except BaseException:
        print(f"fuzz: {name} with seed {seed}", file=sys.stderr, flush=True)
        raise
    return False


def fuzz(
    seconds: float, first_seed: int, devices: list[Device], only: str | None = None
) -> tuple[Counter[str], Counter[str]]:
    """Go round all cases and devices until the time is over; count runs and refusals of each case."""
    cases = {name: case for name, case in all_cases().items() if only in (None, name)}
    runs: Counter[str] = Counter()
    refusals: Counter[str] = Counter()
    end_s = time.monotonic() + seconds
    seed = first_seed
    while time.monotonic() < end_s:
        for name, case in cases.items():
            for device in devices:
                # What runs when a sanitizer ends the program.
                print(f"\r{name} {device.kind} {seed}\033[K", end="", file=sys.stderr, flush=True)
                refusals[name] += run_once(name, case, seed, device)
                runs[name] += 1
        seed += 1
    print("\r\033[K", end="", file=sys.stderr)
    return runs, refusals


def main() -> None:
    """Fuzz and say what was done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", choices=KINDS, nargs="+", default=["cpu", "emulated"])
    parser.add_argument("--only", help="one operation")
    arguments = parser.parse_args()
    devices = [Device(kind) for kind in arguments.device]
    runs, refusals = fuzz(arguments.seconds, arguments.seed, devices, arguments.only)
    print(f"fuzz: {sum(runs.values())} calls of {len(runs)} operations on {', '.join(arguments.device)}, ", end="")
    print(f"{sum(refusals.values())} refused with a sentence, nothing else found")
    if useless := [name for name in runs if runs[name] > 50 and refusals[name] == runs[name]]:
        sys.exit(f"fuzz: never accepted, so that nothing was tried: {', '.join(useless)}")


if __name__ == "__main__":
    main()

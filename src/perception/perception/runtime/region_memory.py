"""How much memory the dense regions of a bundle take on the CPU: their engine decides that, so it is measured."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from perception.bundle.graph import Operation, Spec
from perception.bundle.loading import Bundle
from perception.runtime.dense.region import load_region

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
#: What /proc/self/clear_refs takes to forget the peak of the resident memory (proc(5)).
_FORGET_PEAK = "5"
#: Runs of a frame that are tried: the largest, and some of those between.
MOST_RUNS = 6


def region_bytes(bundle: Bundle[Any], runs: Sequence[Mapping[str, int]], threads: int) -> int:
    """Load every region and run it on zeros, as often as shows what an engine keeps for inputs of changing sizes.

    Args:
        bundle: loaded.
        runs: the sizes that have names, in each run of a frame.
        threads: CPU threads.

    Returns:
        How far the memory of this process grew meanwhile; the size of the files where that cannot be told.
    """
    operations = [operation for operation in bundle.graph.operations if operation.op == "dense_region"]
    files = {str(operation.attributes["file"]) for operation in operations}
    stored = sum(len(bundle.contents[file]) for file in files)
    if not files or not _engine_is_there():
        return stored
    tried = [runs[int(number)] for number in np.linspace(0, len(runs) - 1, MOST_RUNS).round()]
    # Made before: what a region is given lies in the memory of what made it.
    inputs = {id(counts): [_inputs(bundle, operation, counts) for operation in operations] for counts in tried}
    try:
        _RESET.write_text(_FORGET_PEAK)
    except OSError:
        return stored
    before = _resident_bytes("VmRSS")
    regions = {file: load_region(bundle.folder / file, "cpu", threads, bundle.contents[file]) for file in files}
    for counts in tried:
        for operation, given in zip(operations, inputs[id(counts)], strict=True):
            regions[str(operation.attributes["file"])].run(given)
    for region in regions.values():
        region.close()
    return max(stored, _resident_bytes("VmHWM") - before)


def _inputs(bundle: Bundle[Any], operation: Operation, counts: Mapping[str, int]) -> dict[str, np.ndarray]:
    """Zeros for the inputs of a region, in memory that is really there."""
    return {role: _zeros(bundle.graph.specs[value], counts) for role, value in operation.inputs.items()}


def _engine_is_there() -> bool:
    """Whether ONNX Runtime can be imported; its own memory is not the bundle's."""
    try:
        import onnxruntime  # noqa: F401
    except ImportError:
        return False
    return True


def _zeros(spec: Spec, counts: Mapping[str, int]) -> np.ndarray:
    shape = [counts[size] if isinstance(size, str) else size for size in spec.shape]
    return np.full(shape, 0, spec.dtype)


def _resident_bytes(name: str) -> int:
    found = re.search(rf"{name}:\s+(\d+) kB", _STATUS.read_text())
    return int(found[1]) * 1024 if found else 0

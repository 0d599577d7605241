"""Calibrating a bundle for int8 with the clouds of a drive: its dense regions are measured where they run."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from perception.bundle.loading import load_bundle
from perception.configuration import ConfigurationError
from perception.runtime.dense.calibration import RecordingRegion, calibrate
from perception.runtime.dense.file_cache import FileCache
from perception.runtime.dense.quantization import has_quantizable_layers
from perception.runtime.dense.ranges import Method, RangeTable
from perception.runtime.dense.region import default_threads, load_region
from perception.runtime.executor import GraphExecutor
from perception.runtime.native_detection import surround
from perception.runtime.place import HOST
from perception.runtime.steps import Setting
from perception.runtime.timing import StageTimer


def calibrate_bundle(
    folder: Path,
    clouds: Iterable[NDArray[np.float32]],
    method: Method = "least_error",
    percentile: float = 99.99,
    files: FileCache | None = None,
    threads: int | None = None,
) -> dict[str, RangeTable]:
    """Measure the ranges of every dense region of a bundle, on the CPU, and keep them for the engines of this machine.

    Args:
        folder: the bundle.
        clouds: float32 [N, 4], such as those of a bag; a few dozen from different places are enough.
        method: see `calibrate`.
        percentile: see `calibrate`.
        files: where tables are kept; by default beside the engines.
        threads: CPU threads, by default OMP_NUM_THREADS, else all.

    Returns:
        The table of each ONNX file that has layers for int8.

    Raises:
        ConfigurationError: a damaged bundle, one without such regions, or no clouds.
    """
    bundle = load_bundle(folder)
    regions = {
        file: RecordingRegion(load_region(folder / file, "cpu", threads, bundle.contents[file]))
        for file in dict.fromkeys(bundle.graph.regions())
    }
    measured = [file for file in regions if has_quantizable_layers(bundle.contents[file])]
    if not measured:
        raise ConfigurationError(f"{folder}: has no dense region that could run in int8; choose fp16")
    executor = GraphExecutor(bundle.graph, Setting(bundle.tensors, HOST, threads, regions))
    use = surround(executor, bundle.description, threads)
    for cloud in clouds:
        use(cloud, StageTimer())
    threads = threads or default_threads()
    tables = {
        file: calibrate(folder / file, regions[file].batches, method, percentile, files, threads) for file in measured
    }
    executor.close()
    return tables

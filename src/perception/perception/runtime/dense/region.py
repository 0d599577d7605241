"""What every executor of a dense region looks like from outside, and how the right one is found."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from perception.ops import arrays
from perception.ops.arrays import Array
from perception.runtime.dense.onnx_file import check_network, read_network
from perception.runtime.device import gpu_index

if TYPE_CHECKING:
    from perception.runtime.dense.engines import EngineOptions
    from perception.runtime.dense.settings import SizeRange


@dataclass(frozen=True)
class TensorSpec:
    """What a network takes or gives under a name.

    Attributes:
        dtype: of the elements.
        shape: sizes; None where the size may differ from call to call.
    """

    dtype: np.dtype[Any]
    shape: tuple[int | None, ...]


class DenseRegion(Protocol):
    """A loaded dense network. One thread at a time calls it.

    Attributes:
        inputs: what it takes, by name.
        outputs: what it gives, by name.
    """

    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]

    def run(self, inputs: Mapping[str, Array], out: Mapping[str, Array] | None = None) -> dict[str, Array]:
        """Execute the network once.

        Args:
            inputs: a dense row-major array for every name in `self.inputs`, all in one place.
            out: arrays that results are written to, by name; the others are allocated.

        Returns:
            Every output by name; on a GPU it is ready when the stream of the inputs has come that far.

        Raises:
            ValueError: an array is missing, unknown, or of another dtype, rank or fixed size.
            RuntimeError: the execution failed.
        """

    def close(self) -> None:
        """Free what the region holds; it cannot be used afterwards."""


def load_region(
    path: Path,
    device: str = "cpu",
    threads: int | None = None,
    network: bytes | None = None,
    sizes: Mapping[str, SizeRange] | None = None,
    options: EngineOptions | None = None,
) -> DenseRegion:
    """Load one ONNX file with the executor of a device: ONNX Runtime on the CPU, TensorRT on a GPU.

    Args:
        path: the file.
        device: "cpu", "cuda" or "cuda:N".
        threads: how many threads of the CPU may work on it; None: as many as OpenMP may use in this process.
        network: contents of the file, where it was read before.
        sizes: how large named sizes get, for an engine of a GPU.
        options: how engines for a GPU are built and where they are kept.

    Raises:
        ConfigurationError: no such file, a damaged one, or a device that nothing here can execute it on.
    """
    on_gpu = gpu_index(device) is not None
    if network is None:
        network = read_network(path)
    else:
        check_network(network, path)
    # Imported late: a machine that runs everything on its GPU needs no ONNX Runtime, one without GPU no TensorRT.
    if on_gpu:
        from perception.runtime.dense.engines import load_on_gpu

        return load_on_gpu(path, network, device, options, sizes)
    from perception.runtime.dense.onnx_runtime import OnnxRuntimeRegion

    return OnnxRuntimeRegion(path, threads or default_threads(), network)


def default_threads() -> int:
    """Tell how many threads the process may use: OMP_NUM_THREADS, or every core that it may run on."""
    wanted = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    return int(wanted) if wanted.isdigit() and int(wanted) > 0 else len(os.sched_getaffinity(0))


def check_arrays(found: Mapping[str, Array], wanted: Mapping[str, TensorSpec], what: str) -> dict[str, Array]:
    """Check arrays that are passed by name against what the network declares.

    Raises:
        ValueError: one is missing, unknown, or of another dtype, rank or fixed size.
    """
    missing, unknown = sorted(wanted.keys() - found.keys()), sorted(found.keys() - wanted.keys())
    if missing or unknown:
        problem = f"'{missing[0]}' is missing" if missing else f"'{unknown[0]}' is unknown"
        raise ValueError(f"{what} {problem}; the network has {', '.join(sorted(wanted))}")
    return {name: arrays.as_array(found[name], spec.dtype, spec.shape, name) for name, spec in wanted.items()}


def check_results(out: Mapping[str, Array] | None, outputs: Mapping[str, TensorSpec]) -> dict[str, Array]:
    """Check the arrays that results are to be written to, which may be some of the outputs only; as `check_arrays`."""
    given = out or {}
    return check_arrays(given, {name: spec for name, spec in outputs.items() if name in given}, "output")

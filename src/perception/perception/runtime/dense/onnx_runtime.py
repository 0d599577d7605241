"""Dense regions on the CPU, by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from perception.configuration import ConfigurationError
from perception.ops.arrays import Array
from perception.runtime.dense.onnx_file import read_network
from perception.runtime.dense.region import TensorSpec, check_arrays, check_results

#: ONNX Runtime's names of the types that regions exchange with the executor.
DTYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(int8)": np.int8,
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
}


class OnnxRuntimeRegion:
    """A dense region on the CPU; see `DenseRegion`.

    Args:
        path: the ONNX file.
        threads: threads that one call may use, the calling one included.
        network: what to run instead of the file's own contents.

    Raises:
        ConfigurationError: ONNX Runtime is not installed, or cannot load the file.
    """

    def __init__(self, path: Path, threads: int = 1, network: bytes | None = None) -> None:
        self._name = path.name
        self._session: Any = _load_session(read_network(path) if network is None else network, path, threads)
        try:
            self.inputs: Mapping[str, TensorSpec] = _specs(self._session.get_inputs(), path)
            self.outputs: Mapping[str, TensorSpec] = _specs(self._session.get_outputs(), path)
        except UnicodeDecodeError:
            raise ConfigurationError(f"{path}: a name in it is not UTF-8 text; export the bundle again") from None

    def run(self, inputs: Mapping[str, Array], out: Mapping[str, Array] | None = None) -> dict[str, Array]:
        """Execute the network once; as `DenseRegion.run`, with arrays in CPU memory."""
        feeds = _on_cpu(check_arrays(inputs, self.inputs, "input"))
        results = _on_cpu(check_results(out, self.outputs))
        try:
            if not results:
                return dict(zip(self.outputs, self._session.run(list(self.outputs), feeds), strict=True))
            return self._run_into(feeds, results)
        except Exception as error:  # its exceptions have no base class of their own
            raise RuntimeError(f"{self._name}: {_first_line(error)}") from None

    def close(self) -> None:
        """Free the session; the region cannot be used afterwards."""
        self._session = None

    def _run_into(self, feeds: Mapping[str, Array], results: dict[str, Array]) -> dict[str, Array]:
        """Let ONNX Runtime write into the caller's memory, so that nothing is copied."""
        binding = self._session.io_binding()
        for name, array in feeds.items():
            binding.bind_input(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
        for name in self.outputs:
            array = results.get(name)
            place = () if array is None else (0, array.dtype, array.shape, array.ctypes.data)
            binding.bind_output(name, "cpu", *place)
        self._session.run_with_iobinding(binding)
        values = zip(self.outputs, binding.get_outputs(), strict=True)
        return {name: results[name] if name in results else value.numpy() for name, value in values}


def _load_session(network: bytes, path: Path, threads: int) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise ConfigurationError("dense regions need ONNX Runtime on the CPU; type: pip install onnxruntime") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    # The nodes of a robot share few cores: a worker that waits must not keep one busy.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # what goes wrong is raised, once
    try:
        return onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no base class of their own
        raise ConfigurationError(f"{path}: ONNX Runtime cannot load it ({_first_line(error)})") from None


def _specs(nodes: list[Any], path: Path) -> dict[str, TensorSpec]:
    for node in nodes:
        if node.type not in DTYPES:
            raise ConfigurationError(f"{path}: '{node.name}' is a {node.type}, which no operation of a bundle gives")
    return {
        node.name: TensorSpec(
            np.dtype(DTYPES[node.type]), tuple(size if isinstance(size, int) else None for size in node.shape)
        )
        for node in nodes
    }


def _on_cpu(found: dict[str, Array]) -> dict[str, Array]:
    for name, array in found.items():
        if not isinstance(array, np.ndarray):
            raise ValueError(f"{name} lies on a GPU; this region was loaded for the CPU")
    return found


def _first_line(error: Exception) -> str:
    """What ONNX Runtime says, less its prefix and the hints below."""
    return (str(error).splitlines() or [type(error).__name__])[0].split(" : ")[-1].strip().rstrip(".")

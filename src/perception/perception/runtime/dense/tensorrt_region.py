"""Dense regions on a GPU, by TensorRT."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from perception.ops import arrays
from perception.ops.arrays import Array
from perception.runtime.dense.engine_cache import EngineLoadError
from perception.runtime.dense.region import TensorSpec, check_arrays, check_results
from perception.runtime.dense.tensorrt_module import TensorRt, make_logger

#: TensorRT's names of the types that regions exchange with the executor.
DTYPES = {"FLOAT": "float32", "HALF": "float16", "INT32": "int32", "INT64": "int64", "INT8": "int8"}
DTYPES |= {"UINT8": "uint8", "BOOL": "bool"}


class TensorRtRegion:
    """A dense region on a GPU; see `DenseRegion`. It runs in the CUDA context of the calling thread.

    Args:
        tensorrt: which one built the engine.
        engine: its serialised form.
        name: of the region, for messages.

    Raises:
        EngineLoadError: the engine is of another version or GPU, damaged, or does not fit into memory.
    """

    def __init__(self, tensorrt: TensorRt, engine: bytes, name: str) -> None:
        self._name = name
        self._messages = make_logger(tensorrt.api)
        self._runtime: Any = tensorrt.api.Runtime(self._messages)
        self._engine: Any = self._or_complain(self._runtime.deserialize_cuda_engine(engine))
        self._context: Any = self._or_complain(self._engine.create_execution_context())
        names = [self._engine.get_tensor_name(index) for index in range(self._engine.num_io_tensors)]
        is_input = {name: self._engine.get_tensor_mode(name) == tensorrt.api.TensorIOMode.INPUT for name in names}
        self.inputs: Mapping[str, TensorSpec] = {name: self._spec(name) for name in names if is_input[name]}
        self.outputs: Mapping[str, TensorSpec] = {name: self._spec(name) for name in names if not is_input[name]}
        self._limits = {name: self._engine.get_tensor_profile_shape(name, 0) for name in self.inputs}

    def run(self, inputs: Mapping[str, Array], out: Mapping[str, Array] | None = None) -> dict[str, Array]:
        """Queue the network once on the stream of the inputs; as `DenseRegion.run`, with arrays on the GPU."""
        feeds = check_arrays(inputs, self.inputs, "input")
        results = check_results(out, self.outputs)
        place = arrays.common_place(self._name, [*feeds.values(), *results.values()])
        if place.device == arrays.CPU:
            raise ValueError(f"{self._name}: the arrays lie on the CPU; this region was loaded for a GPU")
        like = next(iter(feeds.values()))
        if any(0 in array.shape for array in feeds.values()):
            return {name: results.get(name, self._empty(like, name)) for name in self.outputs}
        self._set_shapes(feeds)
        for name, spec in self.outputs.items():
            shape = tuple(self._context.get_tensor_shape(name))
            if name in results:
                arrays.check_shape(results[name], shape, name)
            else:
                results[name] = arrays.empty(like, shape, spec.dtype)
        for name, array in (feeds | results).items():
            self._context.set_tensor_address(name, arrays.address(array))
        if not self._context.execute_async_v3(place.stream or 0):
            raise RuntimeError(f"{self._name}: {self._messages.last_error()}")
        return results

    def close(self) -> None:
        """Free the engine; what is queued must be done."""
        self._context = self._engine = self._runtime = None

    def _set_shapes(self, feeds: Mapping[str, Array]) -> None:
        for name, array in feeds.items():
            low, _, high = self._limits[name]
            for axis, size in enumerate(array.shape):
                if not low[axis] <= size <= high[axis]:
                    raise ValueError(
                        f"{self._name}: '{name}' has the size {size} along axis {axis}, but its engine was built for "
                        f"{low[axis]} to {high[axis]}"
                    )
            self._context.set_input_shape(name, tuple(array.shape))

    def _empty(self, like: Array, name: str) -> Array:
        """What a network gives for nothing."""
        spec = self.outputs[name]
        return arrays.empty(like, tuple(size or 0 for size in spec.shape), spec.dtype)

    def _spec(self, name: str) -> TensorSpec:
        dtype = np.dtype(DTYPES[self._engine.get_tensor_dtype(name).name])
        shape = tuple(None if size < 0 else int(size) for size in self._engine.get_tensor_shape(name))
        return TensorSpec(dtype, shape)

    def _or_complain(self, made: Any) -> Any:
        if made is None:
            raise EngineLoadError(f"TensorRT cannot load it ({self._messages.last_error()})")
        return made

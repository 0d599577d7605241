"""A stand-in for TensorRT: the API as far as it is used here, with ONNX Runtime behind it and host memory as a GPU's.

Engines are JSON that says what they were built of, so that tests can look into them. The addresses that a context is
given are those of NumPy arrays.
"""

from __future__ import annotations

import base64
import ctypes
import enum
import hashlib
import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime

from perception.runtime.dense.tensorrt_module import TensorRt


class DataType(enum.Enum):
    FLOAT, HALF, INT32 = "float32", "float16", "int32"


#: ONNX's numbers of the types.
DTYPES = {1: DataType.FLOAT, 10: DataType.HALF, 6: DataType.INT32}


class DeviceArray:
    """An array on the stand-in's GPU."""

    device_index = 0

    def __init__(self, values: Any, stream_address: int | None = None) -> None:
        self.values = np.asarray(values)
        self.stream_address = stream_address
        self.shape, self.dtype = self.values.shape, self.values.dtype

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {**self.values.__array_interface__, "strides": self.values.strides, "version": 3}

    def new_empty(self, shape: tuple[int, ...], dtype: Any) -> DeviceArray:
        return DeviceArray(np.zeros(shape, dtype), self.stream_address)


class Severity(enum.Enum):
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)


class ILogger:
    Severity = Severity


class IProgressMonitor:
    pass


class NetworkFlag(enum.IntEnum):
    EXPLICIT_BATCH = 0
    STRONGLY_TYPED = 1


class TensorIOMode(enum.Enum):
    INPUT, OUTPUT = 1, 2


class Tensor:
    def __init__(self, info: Any) -> None:
        self.name = info.name
        self.dims = list(info.type.tensor_type.shape.dim)
        self.shape = tuple(-1 if dim.dim_param else dim.dim_value for dim in self.dims)
        self.dtype = DTYPES[info.type.tensor_type.elem_type]

    def get_dimension_name(self, axis: int) -> str | None:
        return self.dims[axis].dim_param or None


class Network:
    def __init__(self, flags: int) -> None:
        self.flags, self.content = flags, b""

    def read(self, content: bytes) -> None:
        graph = onnx.load_from_string(content).graph
        self.content, self.num_layers = content, len(graph.node)
        self.inputs, self.outputs = [Tensor(info) for info in graph.input], [Tensor(info) for info in graph.output]
        self.num_inputs, self.num_outputs = len(self.inputs), len(self.outputs)

    def get_input(self, index: int) -> Tensor:
        return self.inputs[index]


class Parser:
    def __init__(self, network: Network, messages: Any) -> None:
        self.network, self.errors = network, []
        self.messages = messages

    def parse(self, content: bytes) -> bool:
        self.network.read(content)
        nodes = enumerate(onnx.load_from_string(content).graph.node)
        self.errors = [(index, node) for index, node in nodes if node.op_type == "Det"]
        self.num_errors = len(self.errors)
        return not self.errors

    def get_error(self, position: int) -> Any:
        index, node = self.errors[position]
        return SimpleNamespace(
            desc=lambda: "false", node=lambda: index, node_name=lambda: node.name, node_operator=lambda: node.op_type
        )


class TimingCache:
    def __init__(self, content: bytes) -> None:
        self.content = content

    def serialize(self) -> bytes:
        return self.content or b"timed"


class Config:
    def __init__(self, version: str) -> None:
        self.version = version
        self.flags: list[str] = []
        self.profiles: list[dict[str, Any]] = []
        self.default_device_type = self.DLA_core = self.builder_optimization_level = self.progress_monitor = None
        self.workspace = self.timing_cache = None

    def set_flag(self, flag: str) -> None:
        self.flags.append(flag)

    def add_optimization_profile(self, profile: Any) -> None:
        self.profiles.append(profile.shapes)

    def set_memory_pool_limit(self, _pool: str, size: int) -> None:
        self.workspace = size

    def create_timing_cache(self, content: bytes) -> TimingCache | None:
        return None if content.startswith(b"damaged") else TimingCache(content)

    def set_timing_cache(self, cache: TimingCache, _ignore_mismatch: bool) -> bool:
        self.timing_cache = cache
        return not cache.content.startswith(b"other GPU")


class Profile:
    def __init__(self) -> None:
        self.shapes: dict[str, Any] = {}

    def set_shape(self, name: str, minimum: Any, typical: Any, maximum: Any) -> None:
        self.shapes[name] = [list(minimum), list(typical), list(maximum)]


class Builder:
    num_DLA_cores = 2  # noqa: N815
    version = "10.3.0"

    def __init__(self, messages: Any) -> None:
        self.messages = messages
        self.create_network, self.create_optimization_profile = Network, Profile

    def create_builder_config(self) -> Config:
        return Config(self.version)

    def build_serialized_network(self, network: Network, config: Config) -> bytes | None:
        monitor = config.progress_monitor
        if monitor is not None:
            monitor.phase_start("Building", None, 2)
            if not (monitor.step_complete("Building", 0) and monitor.step_complete("Building", 1)):
                return None
            monitor.phase_finish("Building")
        if len(network.content) > 1 << 20:
            self.messages.log(Severity.ERROR, "Error Code 2:\n out of memory")
            return None
        facts = {name: getattr(config, name) for name in ("flags", "profiles", "DLA_core", "workspace")}
        facts |= {"effort": config.builder_optimization_level, "device": config.default_device_type}
        facts |= {"version": self.version, "network_flags": network.flags}
        facts["network_sha256"] = hashlib.sha256(network.content).hexdigest()
        facts["network"] = base64.b64encode(network.content).decode()
        return json.dumps(facts).encode()


class Engine:
    """A deserialised engine; the network inside is run by ONNX Runtime."""

    def __init__(self, facts: dict[str, Any]) -> None:
        self.facts = facts
        content = base64.b64decode(facts["network"])
        self.network = Network(0)
        self.network.read(content)
        self.session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        self.tensors = {tensor.name: tensor for tensor in [*self.network.inputs, *self.network.outputs]}
        self.num_io_tensors = len(self.tensors)

    def get_tensor_name(self, index: int) -> str:
        return list(self.tensors)[index]

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        is_input = any(tensor.name == name for tensor in self.network.inputs)
        return TensorIOMode.INPUT if is_input else TensorIOMode.OUTPUT

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self.tensors[name].shape

    def get_tensor_dtype(self, name: str) -> DataType:
        return self.tensors[name].dtype

    def get_tensor_profile_shape(self, name: str, _profile: int) -> Any:
        fixed = list(self.tensors[name].shape)
        return self.facts["profiles"][0][name] if self.facts["profiles"] else [fixed] * 3

    def create_execution_context(self) -> Context:
        return Context(self)


class Context:
    """Runs an engine on arrays that it knows by address."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.addresses: dict[str, int] = {}
        self.streams: list[int] = []
        self.results: dict[str, Any] = {}

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        low, _, high = self.engine.get_tensor_profile_shape(name, 0)
        self.shapes[name] = tuple(shape)
        return all(a <= size <= b for a, size, b in zip(low, shape, high, strict=True))

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        tensor = self.engine.tensors[name]
        known: dict[str, int] = {}
        for given, shape in self.shapes.items():
            dims = self.engine.tensors[given].dims
            known |= {dim.dim_param: size for dim, size in zip(dims, shape, strict=True) if dim.dim_param}
        return tuple(known[dim.dim_param] if dim.dim_param else dim.dim_value for dim in tensor.dims)

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return True

    def execute_async_v3(self, stream: int) -> bool:
        self.streams.append(stream)
        self.launch(stream, self._execute)
        return True

    #: A test that watches a GPU puts itself here.
    launch = staticmethod(lambda _stream, work: work())

    def _execute(self) -> None:
        inputs = {tensor.name: self._memory(tensor, self.shapes[tensor.name]) for tensor in self.engine.network.inputs}
        results = self.engine.session.run(None, inputs)
        for tensor, result in zip(self.engine.network.outputs, results, strict=True):
            self._memory(tensor, result.shape)[...] = result

    def _memory(self, tensor: Tensor, shape: tuple[int, ...]) -> np.ndarray:
        dtype = np.dtype(tensor.dtype.value)
        size = int(np.prod(shape)) * dtype.itemsize
        memory = (ctypes.c_char * size).from_address(self.addresses[tensor.name])
        return np.frombuffer(memory, dtype).reshape(shape)


class Runtime:
    version = Builder.version

    def __init__(self, messages: Any) -> None:
        self.messages = messages

    def deserialize_cuda_engine(self, content: bytes) -> Engine | None:
        try:
            facts = json.loads(bytes(content))
        except ValueError:
            facts = {}
        if facts.get("version") == self.version:
            return Engine(facts)
        self.messages.log(Severity.ERROR, "the engine was made by another version")
        return None


def stand_in(version: str = "10.3.0", **changes: Any) -> TensorRt:
    """A TensorRT that runs on the CPU; `changes` replace parts of its API, None removes them."""
    api: dict[str, Any] = {
        "__version__": version,
        "ILogger": ILogger,
        "IProgressMonitor": IProgressMonitor,
        "NetworkDefinitionCreationFlag": NetworkFlag,
        "BuilderFlag": SimpleNamespace(FP16="FP16", INT8="INT8", GPU_FALLBACK="GPU_FALLBACK"),
        "DeviceType": SimpleNamespace(DLA="DLA"),
        "MemoryPoolType": SimpleNamespace(WORKSPACE="WORKSPACE"),
        "Builder": type("Builder", (Builder,), {"version": version}),
        "Runtime": type("Runtime", (Runtime,), {"version": version}),
        "OnnxParser": Parser,
        "TensorIOMode": TensorIOMode,
    }
    kept = {name: part for name, part in (api | changes).items() if part is not None}
    return TensorRt(SimpleNamespace(**kept), "tensorrt", version)

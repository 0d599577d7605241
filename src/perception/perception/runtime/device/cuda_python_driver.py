"""CUDA's driver by cuda-python (`cuda.bindings`), whose wheels install without a toolkit."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from cuda.bindings import driver as cuda

from perception.runtime.device.driver import (
    DeviceProperties,
    DriverError,
    Handle,
    Memory,
    PinnedMemory,
    no_driver,
    no_such_device,
)

_ATTRIBUTE = cuda.CUdevice_attribute


class CudaPythonDriver:
    """One GPU in its primary context, which CUDA's runtime library, and so every kernel, uses too."""

    def __init__(self, index: int = 0) -> None:
        """Open a GPU; ConfigurationError where there is none of that number, or no driver."""
        count = _device_count()
        if not 0 <= index < count:
            raise no_such_device(index, count)
        device = _done("cuDeviceGet", cuda.cuDeviceGet(index))
        self._context = _done("cuDevicePrimaryCtxRetain", cuda.cuDevicePrimaryCtxRetain(device))
        self.make_current()
        self.properties = _properties(index, device)
        self._pool = None
        if self.properties.stream_ordered_memory:
            self._pool = _done("cuDeviceGetDefaultMemPool", cuda.cuDeviceGetDefaultMemPool(device))

    def make_current(self) -> None:
        """Make the context that of the calling thread."""
        _done("cuCtxSetCurrent", cuda.cuCtxSetCurrent(self._context))

    def free_bytes(self) -> int:
        """Tell how much memory of the GPU nobody uses."""
        return int(self._call("cuMemGetInfo")[0])

    def allocate(self, size_bytes: int, stream: Handle) -> int:
        """Allocate device memory in the order of the stream, where the GPU can do that."""
        if self._pool is None:
            return int(self._call("cuMemAlloc", size_bytes))
        return int(self._call("cuMemAllocAsync", size_bytes, cuda.CUstream(stream)))

    def free(self, address: int, stream: Handle) -> None:
        """Free device memory in the order of the stream, where the GPU can do that."""
        if self._pool is None:
            self._call("cuMemFree", address)
        else:
            self._call("cuMemFreeAsync", address, cuda.CUstream(stream))

    def keep_unused(self, size_bytes: int) -> None:
        """Let the driver keep as much freed memory for later."""
        if self._pool is not None:
            attribute = cuda.CUmemPool_attribute.CU_MEMPOOL_ATTR_RELEASE_THRESHOLD
            self._call("cuMemPoolSetAttribute", self._pool, attribute, cuda.cuuint64_t(size_bytes))

    def release_unused(self) -> None:
        """Give freed memory back to the system."""
        if self._pool is not None:
            self._call("cuMemPoolTrimTo", self._pool, 0)

    def allocate_pinned(self, size_bytes: int) -> PinnedMemory:
        """Allocate host memory that all contexts may use and the GPU sees."""
        flags = cuda.CU_MEMHOSTALLOC_PORTABLE | cuda.CU_MEMHOSTALLOC_DEVICEMAP
        host = int(self._call("cuMemHostAlloc", size_bytes, flags))
        values = np.ctypeslib.as_array((ctypes.c_uint8 * size_bytes).from_address(host))
        return PinnedMemory(values, int(self._call("cuMemHostGetDevicePointer", host, 0)))

    def free_pinned(self, memory: PinnedMemory) -> None:
        """Free pinned memory."""
        self._call("cuMemFreeHost", memory.host.ctypes.data)

    def copy(self, target: Memory, source: Memory, size_bytes: int, stream: Handle) -> None:
        """Queue a copy; CUDA sees from the addresses which way it goes."""
        self._call("cuMemcpyAsync", _address(target), _address(source), size_bytes, cuda.CUstream(stream))

    def copy_rows(
        self,
        target: Memory,
        target_pitch_bytes: int,
        source: Memory,
        source_pitch_bytes: int,
        row_bytes: int,
        rows: int,
        stream: Handle,
    ) -> None:
        """Queue a copy of rows whose beginnings lie a pitch apart."""
        copy = cuda.CUDA_MEMCPY2D()
        # Of two addresses for each end, CUDA reads the device's one where the type is unified.
        copy.srcMemoryType = copy.dstMemoryType = cuda.CUmemorytype.CU_MEMORYTYPE_UNIFIED
        copy.srcDevice, copy.srcPitch = cuda.CUdeviceptr(_address(source)), source_pitch_bytes
        copy.dstDevice, copy.dstPitch = cuda.CUdeviceptr(_address(target)), target_pitch_bytes
        copy.WidthInBytes, copy.Height = row_bytes, rows
        self._call("cuMemcpy2DAsync", copy, cuda.CUstream(stream))

    def fill(self, address: int, value: int, size_bytes: int, stream: Handle) -> None:
        """Queue setting every byte."""
        self._call("cuMemsetD8Async", address, value, size_bytes, cuda.CUstream(stream))

    def create_stream(self) -> Handle:
        """Make a stream that does not wait for the default stream."""
        return int(self._call("cuStreamCreate", int(cuda.CUstream_flags.CU_STREAM_NON_BLOCKING)))

    def destroy_stream(self, stream: Handle) -> None:
        """Give a stream back."""
        self._call("cuStreamDestroy", cuda.CUstream(stream))

    def synchronize(self, stream: Handle) -> None:
        """Wait until everything that is queued on the stream is done."""
        self._call("cuStreamSynchronize", cuda.CUstream(stream))

    def create_event(self, timing: bool = False) -> Handle:
        """Make an event; who waits for it sleeps, for nodes share the cores of the robot."""
        flags = cuda.CUevent_flags
        timed = flags.CU_EVENT_DEFAULT if timing else flags.CU_EVENT_DISABLE_TIMING
        return int(self._call("cuEventCreate", int(timed) | int(flags.CU_EVENT_BLOCKING_SYNC)))

    def destroy_event(self, event: Handle) -> None:
        """Give an event back."""
        self._call("cuEventDestroy", cuda.CUevent(event))

    def record_event(self, event: Handle, stream: Handle) -> None:
        """Let the event happen after what is queued on the stream."""
        self._call("cuEventRecord", cuda.CUevent(event), cuda.CUstream(stream))

    def wait_for_event(self, stream: Handle, event: Handle) -> None:
        """Let the stream wait for the event."""
        self._call("cuStreamWaitEvent", cuda.CUstream(stream), cuda.CUevent(event), 0)

    def synchronize_event(self, event: Handle) -> None:
        """Let the calling thread sleep until the event happened."""
        self._call("cuEventSynchronize", cuda.CUevent(event))

    def elapsed_ms(self, begin: Handle, end: Handle) -> float:
        """Tell the time between two events that happened."""
        return float(self._call("cuEventElapsedTime", cuda.CUevent(begin), cuda.CUevent(end)))

    def begin_capture(self, stream: Handle) -> None:
        """Collect what this thread queues on the stream; other threads go on as usual."""
        mode = cuda.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        self._call("cuStreamBeginCapture", cuda.CUstream(stream), mode)

    def end_capture(self, stream: Handle) -> Handle:
        """Give what was collected as a graph that can be launched."""
        graph = self._call("cuStreamEndCapture", cuda.CUstream(stream))
        try:
            return int(self._call("cuGraphInstantiate", graph, 0))
        finally:
            self._call("cuGraphDestroy", graph)

    def launch_graph(self, graph: Handle, stream: Handle) -> None:
        """Queue a graph."""
        self._call("cuGraphLaunch", cuda.CUgraphExec(graph), cuda.CUstream(stream))

    def destroy_graph(self, graph: Handle) -> None:
        """Give a graph back."""
        self._call("cuGraphExecDestroy", cuda.CUgraphExec(graph))

    def _call(self, name: str, *arguments: Any) -> Any:
        """Call a function of the driver in this GPU's context, whatever other libraries of the thread did."""
        cuda.cuCtxSetCurrent(self._context)
        return _done(name, getattr(cuda, name)(*arguments))


def _device_count() -> int:
    try:
        (status,) = cuda.cuInit(0)
    except RuntimeError:  # there is no libcuda
        raise no_driver() from None
    if status == cuda.CUresult.CUDA_ERROR_NO_DEVICE:
        return 0
    if status != cuda.CUresult.CUDA_SUCCESS:
        raise no_driver()
    return int(_done("cuDeviceGetCount", cuda.cuDeviceGetCount()))


def _properties(index: int, device: Any) -> DeviceProperties:
    def attribute(name: str) -> int:
        status, value = cuda.cuDeviceGetAttribute(getattr(_ATTRIBUTE, f"CU_DEVICE_ATTRIBUTE_{name}"), device)
        return int(value) if status == cuda.CUresult.CUDA_SUCCESS else 0

    return DeviceProperties(
        index=index,
        name=_text(_done("cuDeviceGetName", cuda.cuDeviceGetName(128, device))),
        compute_capability=(attribute("COMPUTE_CAPABILITY_MAJOR"), attribute("COMPUTE_CAPABILITY_MINOR")),
        total_bytes=int(_done("cuDeviceTotalMem", cuda.cuDeviceTotalMem(device))),
        integrated=bool(attribute("INTEGRATED")),
        stream_ordered_memory=bool(attribute("MEMORY_POOLS_SUPPORTED")),
        graphs=True,
        pci_bus_id=_text(_done("cuDeviceGetPCIBusId", cuda.cuDeviceGetPCIBusId(16, device))),
    )


def _text(filled: bytes) -> str:
    return filled.split(b"\0")[0].decode()


def _address(memory: Memory) -> int:
    return memory if isinstance(memory, int) else memory.ctypes.data


def _done(name: str, result: tuple[Any, ...]) -> Any:
    """What a call gave: nothing, one value, or several."""
    status, *values = result
    if status == cuda.CUresult.CUDA_SUCCESS:
        return values[0] if len(values) == 1 else tuple(values)
    if status == cuda.CUresult.CUDA_ERROR_OUT_OF_MEMORY:
        raise MemoryError(f"{name}: the GPU has no more memory")
    text_status, text = cuda.cuGetErrorString(status)
    reason = text.decode() if text_status == cuda.CUresult.CUDA_SUCCESS and text else str(status)
    raise DriverError(f"{name}: {reason}")

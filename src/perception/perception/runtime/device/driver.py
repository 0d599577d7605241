"""What the runtime needs of CUDA's driver, and the choice of the package that gives it.

No other module names CUDA's packages. Streams, events and graphs are numbers here: what the packages wrap them in never
leaves their own module. Host memory is a NumPy array and device memory an address, in every copy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from perception.configuration import ConfigurationError

#: An address on the device, or dense memory of the host.
Memory: TypeAlias = int | NDArray[np.uint8]
#: Streams, events and graphs by number; stream 0 is CUDA's default stream.
Handle: TypeAlias = int


class DriverError(RuntimeError):
    """CUDA refused a call; the message names the call and CUDA's reason."""


@dataclass(frozen=True)
class DeviceProperties:
    """What does not change about a GPU.

    Attributes:
        index: which one of the machine, from 0.
        name: product name.
        compute_capability: major and minor version, such as (8, 7).
        total_bytes: its memory; on a Jetson that of the whole board.
        integrated: whether the GPU shares its memory with the CPU, so that pinned memory needs no copy.
        stream_ordered_memory: whether memory is allocated and freed in the order of a stream.
        graphs: whether work can be captured and launched again as a whole.
        pci_bus_id: where it sits, such as 0000:01:00.0.
    """

    index: int
    name: str
    compute_capability: tuple[int, int]
    total_bytes: int
    integrated: bool = False
    stream_ordered_memory: bool = False
    graphs: bool = False
    pci_bus_id: str | None = None


class PinnedMemory(NamedTuple):
    """Host memory that the GPU reaches without the CPU.

    Attributes:
        host: uint8 [bytes], for the CPU.
        address: the same memory for the GPU.
    """

    host: NDArray[np.uint8]
    address: int


class Driver(Protocol):
    """One GPU, in the context that CUDA keeps for the whole process; kernels, TensorRT and all engines share it.

    Every method may be called from any thread. What it queues is done in the order of its stream. Errors are
    DriverError, and MemoryError where memory ran out.
    """

    properties: DeviceProperties

    def make_current(self) -> None:
        """Make the context that of the calling thread, for libraries that expect to find one."""

    def free_bytes(self) -> int:
        """Tell how much memory of the GPU nobody uses."""

    def allocate(self, size_bytes: int, stream: Handle) -> int:
        """Allocate device memory for work that is queued on the stream from now on; give its address."""

    def free(self, address: int, stream: Handle) -> None:
        """Free device memory after what is queued on the stream; without stream-ordered memory, after all work."""

    def keep_unused(self, size_bytes: int) -> None:
        """Let the driver keep as much freed memory for later; without stream-ordered memory there is nothing to say."""

    def release_unused(self) -> None:
        """Let the driver give freed memory that it kept back to the system."""

    def allocate_pinned(self, size_bytes: int) -> PinnedMemory:
        """Allocate host memory that copies need not stage."""

    def free_pinned(self, memory: PinnedMemory) -> None:
        """Free pinned memory; its arrays must not be used any more."""

    def copy(self, target: Memory, source: Memory, size_bytes: int, stream: Handle) -> None:
        """Queue a copy between any two of host and device.

        Host memory must stay as it is until the copy is done, also where it is not pinned: some systems wait for such
        copies, others do not.
        """

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
        """Queue a copy of rows whose beginnings lie a pitch apart, such as some columns of a matrix."""

    def fill(self, address: int, value: int, size_bytes: int, stream: Handle) -> None:
        """Queue setting every byte of device memory."""

    def create_stream(self) -> Handle:
        """Make a stream that does not wait for the default stream."""

    def destroy_stream(self, stream: Handle) -> None:
        """Give a stream back; nothing may be queued on it any more."""

    def synchronize(self, stream: Handle) -> None:
        """Wait until everything that is queued on the stream is done."""

    def create_event(self, timing: bool = False) -> Handle:
        """Make an event; with timing it remembers when it happened."""

    def destroy_event(self, event: Handle) -> None:
        """Give an event back."""

    def record_event(self, event: Handle, stream: Handle) -> None:
        """Let the event happen after what is queued on the stream."""

    def wait_for_event(self, stream: Handle, event: Handle) -> None:
        """Let what is queued on the stream from now on wait for the event as it was last recorded."""

    def synchronize_event(self, event: Handle) -> None:
        """Let the calling thread sleep until the event happened."""

    def elapsed_ms(self, begin: Handle, end: Handle) -> float:
        """Tell the time between two events that happened."""

    def begin_capture(self, stream: Handle) -> None:
        """Collect what is queued on the stream, and on streams that wait for it, instead of doing it."""

    def end_capture(self, stream: Handle) -> Handle:
        """Give what was collected as a graph that can be launched; a capture that failed ends with DriverError."""

    def launch_graph(self, graph: Handle, stream: Handle) -> None:
        """Queue a graph."""

    def destroy_graph(self, graph: Handle) -> None:
        """Give a graph back."""


def find_driver(index: int = 0) -> Driver:
    """Open a GPU with the package that is installed: cuda-python, which can do more, else PyCUDA.

    Raises:
        ConfigurationError: there is no such GPU, or neither package.
    """
    try:
        from perception.runtime.device.cuda_python_driver import CudaPythonDriver
    except ImportError:
        pass
    else:
        return CudaPythonDriver(index)
    try:
        from perception.runtime.device.pycuda_driver import PyCudaDriver
    except ImportError:
        raise ConfigurationError(
            "device 'cuda': neither cuda-python nor PyCUDA is installed; type pip install 'cuda-bindings==13.*' (12.* "
            "for CUDA 12), or use 'cpu'"
        ) from None
    return PyCudaDriver(index)


def no_driver() -> ConfigurationError:
    """What to say where CUDA cannot start."""
    return ConfigurationError("device 'cuda': no NVIDIA driver on this machine; use 'cpu'")


def no_such_device(index: int, count: int) -> ConfigurationError:
    """What to say where the GPU with that number is not there."""
    known = "no GPU; use 'cpu'" if count == 0 else f"the GPUs 'cuda:0' to 'cuda:{count - 1}'"
    return ConfigurationError(f"device 'cuda:{index}': this machine has {known if count != 1 else 'only cuda:0'}")

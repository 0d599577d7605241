"""The drivers against what is expected of every driver; a real GPU where there is one."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from perception.configuration import ConfigurationError
from perception.runtime.device.device import gpu_index
from perception.runtime.device.driver import DriverError, find_driver
from tests.runtime.device import driver_contract
from tests.runtime.device.host_driver import HostDriver

HERE = Path(__file__).parent
CHECK = """
from perception.runtime.device.cuda_python_driver import CudaPythonDriver
from tests.runtime.device.driver_contract import check
driver = CudaPythonDriver(0)
check(driver)
print(driver.properties)
"""


@pytest.mark.parametrize("ordered", [True, False])
def test_the_stand_in_does_what_a_driver_must(ordered):
    driver = HostDriver(stream_ordered_memory=ordered)
    driver_contract.check(driver)
    assert driver.errors == []


@pytest.fixture(scope="module")
def fake_cuda(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a libcuda that works on the host's memory."""
    if importlib.util.find_spec("cuda") is None or importlib.util.find_spec("cuda.bindings") is None:
        pytest.skip("cuda-bindings is not installed")
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler")
    folder = tmp_path_factory.mktemp("cuda")
    command = [compiler, "-std=gnu11", "-Wall", "-Werror", "-shared", "-fPIC", str(HERE / "libcuda.c")]
    subprocess.run([*command, "-o", str(folder / "libcuda.so.1"), "-ldl"], check=True)
    return folder


def run_with(fake_cuda: Path, top: Path, code: str, **settings: str) -> subprocess.CompletedProcess:
    paths = [str(top), *sys.path]
    environment = os.environ | {"LD_LIBRARY_PATH": str(fake_cuda), "PYTHONPATH": os.pathsep.join(paths)} | settings
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("settings", [{}, {"FAKE_CUDA_NO_POOLS": "1"}], ids=["pools", "no pools"])
def test_cuda_python_does_what_a_driver_must(fake_cuda, top, settings):
    done = run_with(fake_cuda, top, CHECK, **settings)
    assert done.returncode == 0, done.stderr
    ordered = f"stream_ordered_memory={not settings}"
    for expected in (
        "name='Fake 0'",
        "compute_capability=(8, 7)",
        "integrated=True",
        ordered,
        "graphs=True",
        "0000:01:00.0",
    ):
        assert expected in done.stdout


def test_cuda_python_says_which_gpus_there_are(fake_cuda, top):
    code = "from perception.runtime.device.driver import find_driver; find_driver({})"
    for index, count, expected in (
        (0, "0", "device 'cuda:0': this machine has no GPU; use 'cpu'"),
        (1, "1", "device 'cuda:1': this machine has only cuda:0"),
        (7, "2", "device 'cuda:7': this machine has the GPUs 'cuda:0' to 'cuda:1'"),
    ):
        done = run_with(fake_cuda, top, code.format(index), FAKE_CUDA_DEVICES=count)
        assert done.stderr.splitlines()[-1] == f"perception.configuration.ConfigurationError: {expected}"


class FakePyCuda(ModuleType):
    """PyCUDA's driver module as far as it is used, on the stand-in; only calls inside of a pushed context work."""

    class Error(Exception):
        pass

    class LogicError(Error):
        pass

    class OutOfMemoryError(Error, MemoryError):
        pass

    def __init__(self) -> None:
        super().__init__("pycuda.driver")
        host = self.host = HostDriver(stream_ordered_memory=False, graphs=False)
        fake, self.pushed, self.MemoryError = self, 0, self.OutOfMemoryError

        class Flags:
            PORTABLE, DEVICEMAP, BLOCKING_SYNC, DISABLE_TIMING, INTEGRATED = 1, 2, 1, 2, 18

        class Context:
            def push(self) -> None:
                fake.pushed += 1

            @staticmethod
            def pop() -> None:
                fake.pushed -= 1

            @staticmethod
            def synchronize() -> None:
                fake.current()
                for stream in list(host._clocks)[2:]:
                    host.synchronize(stream)
                host.synchronize(0)

        class Device:
            def __init__(self, index: int) -> None:
                self.index = index

            count = staticmethod(lambda: 1)
            name = staticmethod(lambda: "Old GPU")
            compute_capability = staticmethod(lambda: (5, 3))
            total_memory = staticmethod(lambda: 1 << 30)
            pci_bus_id = staticmethod(lambda: "0000:00:00.0")
            get_attribute = staticmethod(lambda attribute: 1 if attribute == 18 else 0)
            retain_primary_context = staticmethod(Context)

        class Allocation:
            def __init__(self, address: int) -> None:
                self.address = address

            def __int__(self) -> int:
                return self.address

            def free(self) -> None:
                fake.current()
                host.free(self.address, 0)

        class Stream:
            def __init__(self, flags: int) -> None:
                fake.current()
                assert flags == 1
                self.handle = host.create_stream()

            def synchronize(self) -> None:
                fake.current()
                host.synchronize(self.handle)

            def wait_for_event(self, event: Any) -> None:
                host.wait_for_event(self.handle, event.number)

        class Event:
            def __init__(self, flags: int) -> None:
                fake.current()
                self.number = host.create_event(not flags & 2)

            def record(self, stream: Any) -> None:
                host.record_event(self.number, fake.handle(stream))

            def synchronize(self) -> None:
                host.synchronize_event(self.number)

            def time_till(self, end: Any) -> float:
                try:
                    return host.elapsed_ms(self.number, end.number)
                except DriverError:
                    raise fake.LogicError("cuEventElapsedTime failed: invalid resource handle") from None

        class Memcpy2D:
            def set_src_device(self, address: int) -> None:
                self.source = address

            def set_dst_device(self, address: int) -> None:
                self.target = address

            set_src_host, set_dst_host = set_src_device, set_dst_device

            def __call__(self, stream: Any = None, aligned: bool = True) -> None:
                fake.current()
                assert stream is not None or not aligned
                pitches = (self.target, self.dst_pitch, self.source, self.src_pitch)
                host.copy_rows(*pitches, self.width_in_bytes, self.height, fake.handle(stream))

        self.device_attribute = self.host_alloc_flags = self.event_flags = Flags
        self.Context, self.Device, self.Stream, self.Event, self.Memcpy2D = Context, Device, Stream, Event, Memcpy2D
        self.Allocation = Allocation

    def current(self) -> None:
        assert self.pushed == 1

    @staticmethod
    def handle(stream: Any) -> int:
        return 0 if stream is None else stream.handle

    def init(self) -> None:
        pass

    def mem_get_info(self) -> tuple[int, int]:
        self.current()
        return self.host.free_bytes(), 1 << 30

    def mem_alloc(self, size_bytes: int) -> Any:
        self.current()
        try:
            return self.Allocation(self.host.allocate(size_bytes, 0))
        except MemoryError:
            raise self.OutOfMemoryError("cuMemAlloc failed: out of memory") from None

    def pagelocked_empty(self, shape: int, dtype: Any, mem_flags: int) -> np.ndarray:
        self.current()
        memory, host = self.host.allocate_pinned(shape), self.host

        class Base:
            __array_interface__ = memory.host.__array_interface__

            def get_device_pointer(self) -> int:
                return memory.address

            def free(self) -> None:
                host.free_pinned(memory)

        assert mem_flags == 3
        return np.asarray(Base())

    def memcpy_htod_async(self, target: int, source: np.ndarray, stream: Any) -> None:
        self.current()
        self.host.copy(target, source, source.nbytes, self.handle(stream))

    def memcpy_dtoh_async(self, target: np.ndarray, source: int, stream: Any) -> None:
        self.current()
        self.host.copy(target, source, target.nbytes, self.handle(stream))

    def memcpy_dtod_async(self, target: int, source: int, size_bytes: int, stream: Any) -> None:
        self.current()
        self.host.copy(target, source, size_bytes, self.handle(stream))

    def memset_d8_async(self, address: int, value: int, size_bytes: int, stream: Any) -> None:
        self.current()
        self.host.fill(address, value, size_bytes, self.handle(stream))


@pytest.fixture
def pycuda(monkeypatch: pytest.MonkeyPatch) -> FakePyCuda:
    """A PyCUDA on the stand-in, in the place of the real one."""
    fake, package = FakePyCuda(), ModuleType("pycuda")
    package.driver = fake
    monkeypatch.setitem(sys.modules, "pycuda", package)
    monkeypatch.setitem(sys.modules, "pycuda.driver", fake)
    monkeypatch.delitem(sys.modules, "perception.runtime.device.pycuda_driver", raising=False)
    yield fake
    sys.modules.pop("perception.runtime.device.pycuda_driver", None)


def test_pycuda_does_what_a_driver_must(pycuda):
    from perception.runtime.device.pycuda_driver import PyCudaDriver

    driver = PyCudaDriver(0)
    assert driver.properties.compute_capability == (5, 3)
    assert driver.properties.integrated
    driver_contract.check(driver)
    assert pycuda.pushed == 0, "a thread that ended now would end the process"
    assert pycuda.host.errors == []
    with pytest.raises(DriverError, match="cuda-bindings for graphs"):
        driver.begin_capture(1)
    with pytest.raises(ConfigurationError, match="only cuda:0"):
        PyCudaDriver(1)


@pytest.mark.parametrize("package", ["cuda", "pycuda"])
def test_without_a_driver_one_sentence_says_what_to_do(monkeypatch, pycuda, package):
    if package == "cuda" and importlib.util.find_spec("cuda") is None:
        pytest.skip("cuda-bindings is not installed")
    if package == "pycuda":
        monkeypatch.setitem(sys.modules, "perception.runtime.device.cuda_python_driver", None)

        def no_driver() -> None:
            raise pycuda.Error("cuInit failed: no CUDA-capable device is detected")

        pycuda.init = no_driver
    with pytest.raises(ConfigurationError, match=r"^device 'cuda': no NVIDIA driver on this machine; use 'cpu'$"):
        find_driver()


def test_without_a_package_one_sentence_says_what_to_install(monkeypatch):
    for name in ("cuda_python_driver", "pycuda_driver"):
        monkeypatch.setitem(sys.modules, f"perception.runtime.device.{name}", None)
    with pytest.raises(
        ConfigurationError, match=r"neither cuda-python nor PyCUDA is installed; type pip install 'cuda-bind"
    ):
        find_driver()


@pytest.mark.gpu
def test_a_gpu_does_what_a_driver_must(device):
    try:
        driver = find_driver()
    except ConfigurationError as error:
        pytest.skip(str(error))
    driver_contract.check(driver)


@pytest.mark.parametrize(("name", "index"), [("cpu", None), ("cuda", 0), ("cuda:0", 0), ("cuda:12", 12)])
def test_devices_by_name(name, index):
    assert gpu_index(name) == index


@pytest.mark.parametrize("name", ["", "gpu", "cuda:", "cuda:x", "cuda:-1", "CUDA"])
def test_other_names_are_refused(name):
    with pytest.raises(ConfigurationError, match=r"expected cpu, cuda, or cuda:N"):
        gpu_index(name)

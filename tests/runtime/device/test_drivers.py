"""The drivers against what is expected of every driver; a real GPU where there is one."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from perception.configuration import ConfigurationError
from perception.runtime.device.device import gpu_index
from perception.runtime.device.driver import DriverError, find_driver
from tests.runtime.device import driver_contract
from tests.runtime.device.fake_pycuda import FakePyCuda
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

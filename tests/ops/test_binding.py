import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

from perception import ops
from perception.ops import binding
from perception.ops.arrays import address, as_array


def run_python(code, **environment):
    clean = {name: value for name, value in os.environ.items() if name != "PERCEPTION_KERNELS_LIBRARY"}
    return subprocess.run(
        [sys.executable, "-c", code], env=clean | environment, capture_output=True, text=True, check=False, timeout=60
    )


def test_tensors_are_used_where_they_lie():
    tensor = torch.zeros(3, 4, dtype=torch.int32, requires_grad=False)
    assert as_array(tensor, np.int32, (None, 4), "coords").ctypes.data == tensor.data_ptr()
    parameter = torch.nn.Parameter(torch.zeros(2))
    assert as_array(parameter, np.float32, (2,), "bias").ctypes.data == parameter.data_ptr()


def test_addresses_are_those_of_the_first_elements():
    array = np.arange(12, dtype=np.float32).reshape(4, 3)
    read_only = array[1:]
    read_only.flags.writeable = False
    for view in (array, array[2:], array[:, 1:], read_only, array[4:], np.float32(3) + array[0, :1]):
        assert address(view) == view.__array_interface__["data"][0]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([[0, 0, 0, 0]], "coords must be a NumPy array, torch tensor or CUDA array, found list"),
        (np.zeros((2, 4), np.int64), "coords must be int32, found int64"),
        (np.zeros((2, 3), np.int32), r"coords must have the shape \[any, 4\], found \[2, 3\]"),
        (np.zeros(4, np.int32), r"coords must have the shape \[any, 4\], found \[4\]"),
        (np.zeros((4, 4), np.int32).T, "coords must be contiguous"),
        (torch.zeros(2, 4), "coords must be int32, found float32"),
        (torch.zeros(2, 4, dtype=torch.int32, device="meta"), "coords lies on meta"),
    ],
)
def test_arrays_that_do_not_fit_are_named(value, message):
    with pytest.raises(ValueError, match=message):
        ops.unique(value)


def test_importing_needs_neither_torch_nor_ros_nor_the_library():
    code = "import sys, perception.ops; assert not {'torch', 'rclpy'} & set(sys.modules)"
    done = run_python(code, PERCEPTION_KERNELS_LIBRARY="/nowhere/library.so")
    assert done.returncode == 0, done.stderr


def test_a_missing_library_is_one_sentence():
    code = "from perception import ops; ops.instruction_set()"
    done = run_python(code, PERCEPTION_KERNELS_LIBRARY="/nowhere/library.so")
    assert done.stderr.strip().splitlines()[-1] == (
        "ImportError: libperception_kernels.so was not found: build the package perception_kernels (make setup), "
        "source the workspace, or set PERCEPTION_KERNELS_LIBRARY to the file"
    )


def test_something_else_than_the_library_is_told_apart(tmp_path):
    other = tmp_path / "library.so"
    other.write_text("not a library")
    done = run_python("from perception import ops; ops.instruction_set()", PERCEPTION_KERNELS_LIBRARY=str(other))
    assert f"ImportError: {other} cannot be loaded" in done.stderr


def test_an_older_library_is_one_sentence(tmp_path):
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("needs a C compiler")
    source, older = tmp_path / "older.c", tmp_path / "older.so"
    source.write_text(
        f"int pk_interface_version(void) {{ return {binding.INTERFACE_VERSION}; }}"
        "const char* pk_last_error(void) { return 0; } const char* pk_instruction_set(void) { return 0; }"
        "long pk_hash_capacity(long n) { return n; }"
    )
    subprocess.run([compiler, "-shared", "-fPIC", source, "-o", older], check=True)
    code = "import numpy as np; from perception import ops; ops.cast(np.zeros(3, np.float32), np.float16)"
    done = run_python(code, PERCEPTION_KERNELS_LIBRARY=str(older))
    assert done.stderr.strip().splitlines()[-1] == (
        f"ImportError: {older} is older than this code, it lacks pk_cast: rebuild perception_kernels"
    )


def test_the_library_is_found_by_each_of_its_places(tmp_path):
    library = binding.library()._name
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / binding.LIBRARY_NAME).symlink_to(library)
    code = "from perception.ops import binding; print(binding.library()._name)"
    for variable, value in (
        ("PERCEPTION_KERNELS_LIBRARY", tmp_path / "lib" / binding.LIBRARY_NAME),
        ("AMENT_PREFIX_PATH", tmp_path),
    ):
        assert str(tmp_path) in run_python(code, **{variable: str(value)}).stdout, variable


def test_threads_follow_the_environment(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert binding.default_threads() == 3
    for value in ("", "0", "many"):
        monkeypatch.setenv("OMP_NUM_THREADS", value)
        assert binding.default_threads() >= 1


def test_every_instruction_set_is_known():
    assert ops.instruction_set() in {"avx512", "avx2", "neon", "baseline"}

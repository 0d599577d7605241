"""The emulation of CUDA behaves as a GPU does, and notices what a GPU may hide."""

import os
import subprocess
from pathlib import Path

import pytest

from perception.ops import binding

RIGHT = ["scan", "sort", "collectives", "matrix_product", "half_precision", "empty_grid", "too_many_threads"]
NOTICED = ["broken_rules", "forgotten_barrier", "unwritten_shared_memory"]
SANITIZED = ["past_shared", "past_dynamic_shared", "past_memory"]


@pytest.fixture
def program(device):
    if device.kind == "cpu":
        pytest.skip("the program is built with the emulation (make test-cuda) or CUDA (make gpu-check)")
    return Path(binding.library()._name).with_name("execution_model")


def run(program, case, **variables):
    return subprocess.run([program, case], env=os.environ | variables, capture_output=True, text=True)


@pytest.mark.parametrize("case", RIGHT)
def test_what_kernels_rely_on(program, case):
    done = run(program, case)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.emulation
@pytest.mark.parametrize("seed", ["1", "2", "3"])
@pytest.mark.parametrize("case", NOTICED)
def test_mistakes_are_noticed(program, case, seed):
    done = run(program, case, PK_EMULATION_SEED=seed)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.emulation
@pytest.mark.parametrize("case", SANITIZED)
def test_accesses_past_the_end_are_noticed(program, case):
    done = run(program, case)
    assert done.returncode != 0
    assert "AddressSanitizer" in done.stderr or "runtime error" in done.stderr

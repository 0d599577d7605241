"""Every function of the C interface, called wrongly: an error with a sentence, never a crash."""

import ctypes

import numpy as np
import pytest

import perception.ops  # noqa: F401  declares every function
from perception.ops import binding
from perception.ops.arrays import CPU

FUNCTIONS = sorted(binding._signatures)
NUMBERS = {"i": ctypes.c_int32, "l": ctypes.c_int64, "f": ctypes.c_float}


def call(name, device, pointers, numbers):
    """Call with the same address for each pointer and the given numbers in turn: the status and the message."""
    where = binding.Execution(0 if device.kind != "cpu" else CPU, 1, None)
    numbers = iter(numbers)
    arguments = [pointers if letter == "p" else next(numbers) for letter in binding._signatures[name]]
    status = binding._function(name)(ctypes.byref(where), *arguments)
    return status, binding.library().pk_last_error().decode()


def numbers_of(name):
    return [letter for letter in binding._signatures[name] if letter != "p"]


def test_every_function_of_the_header_is_declared(top):
    headers = "".join(path.read_text() for path in (top / "kernels" / "include").rglob("*.h"))
    in_headers = {word.split("(")[0] for word in headers.split("PK_API pk_status ")[1:]}
    assert in_headers == set(FUNCTIONS)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_null_pointers_are_errors(name, device):
    status, message = call(name, device, None, [1] * len(numbers_of(name)))
    assert status != 0
    assert len(message) > 10


@pytest.mark.parametrize("name", FUNCTIONS)
def test_negative_numbers_do_not_crash(name, device):
    zeros = np.zeros(1 << 16, np.uint64)
    count = len(numbers_of(name))
    for numbers in ([-1] * count, *([1] * i + [-1] + [1] * (count - 1 - i) for i in range(count))):
        status, message = call(name, device, zeros.ctypes.data, numbers)
        assert status == 0 or len(message) > 10


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if "l" in binding._signatures[name]])
@pytest.mark.parametrize("size", [2**31 - 1, 2**31, 2**62])
def test_sizes_that_overflow_are_errors(name, device, size):
    status, message = call(name, device, None, [size if letter == "l" else 7 for letter in numbers_of(name)])
    assert status != 0
    assert len(message) > 10


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_device_that_is_not_there_is_an_error(name):
    where = binding.Execution(99, 1, None)
    zeros = np.zeros(1 << 16, np.uint64)
    letters = binding._signatures[name]
    arguments = [zeros.ctypes.data if letter == "p" else 1 for letter in letters]
    assert binding._function(name)(ctypes.byref(where), *arguments) != 0

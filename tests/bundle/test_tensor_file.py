"""Headers of safetensors files that lie."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from perception.bundle.tensor_file import parse_tensors
from perception.configuration import ConfigurationError


def refusal(content: bytes) -> str:
    with pytest.raises(ConfigurationError) as caught:
        parse_tensors(content, "weights")
    assert str(caught.value).startswith("weights: ")
    return str(caught.value)


def with_header(header: Any, data: bytes = bytes(8)) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(dtype: str = "F32", shape: Any = (2,), offsets: Any = (0, 8)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def test_what_the_library_writes_is_read() -> None:
    tensors = {
        "a.kernel": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
        "b": np.arange(3, dtype=np.float16),
        "c.num_batches_tracked": np.array(7),
        "d": np.arange(5, dtype=np.uint8),
    }
    read = parse_tensors(save(tensors, {"format": "pt"}), "weights")
    assert read.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert read[name].dtype == tensor.dtype
        assert np.array_equal(read[name], tensor)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ({"a": entry(shape=[10**9])}, "does not lie where"),
        ({"a": entry(shape=[10**12], offsets=[0, 4 * 10**12])}, "less than or equal to"),
        ({"a": entry(shape=[2**31] * 8)}, "does not lie where"),
        ({"a": entry(shape=[2] * 9)}, "at most 8 items"),
        ({"a": entry(offsets=[0, 10**12])}, "does not lie where"),
        ({"a": entry(offsets=[8, 0])}, "does not lie where"),
        ({"a": entry(offsets=[-8, 0])}, "greater than or equal to 0"),
        ({"a": entry(shape=[-2])}, "greater than or equal to 1"),
        ({"a": entry(shape=[0], offsets=[0, 0])}, "greater than or equal to 1"),
        ({"a": entry(shape="22")}, "tuple"),
        ({"a": entry(shape=[1])}, "does not lie where"),
        ({"a": entry(shape=[1], offsets=[0, 4])}, "describes 4 bytes of tensors, but there are 8"),
        ({"a": entry(shape=[1], offsets=[4, 8])}, "does not lie where"),
        ({"a": entry(), "b": entry()}, "does not lie where"),
        ({"a": entry(dtype="Q7")}, "dtype"),
        ({"a": entry(dtype="BF16", shape=[4])}, "dtype"),
        ({"a": {**entry(), "more": 1}}, "unknown key 'more'"),
        ({"a": {"dtype": "F32"}}, "Field required"),
        ({"a": 3}, "expected a mapping"),
        ({"a\x1b[31m": entry()}, "no tensor's name"),
        ({"../a b": entry()}, "no tensor's name"),
        ({}, "describes 0 bytes"),
        ([1], "no mapping"),
        (b'{"a": {}, "a": {}}', "twice"),
        (b"\xff\xfe", "not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b"not json", "not valid JSON"),
    ],
    ids=str,
)
def test_a_header_that_lies(header: Any, expected: str) -> None:
    assert expected in refusal(with_header(header))


@pytest.mark.parametrize("length", [0, 1, 9, 2**24 + 1, 2**40, 2**63, 2**64 - 1])
def test_a_header_of_another_length(length: int) -> None:
    assert "does not fit" in refusal(struct.pack("<Q", length) + b'{"a": 1}')


@pytest.mark.parametrize("length", range(1, 9))
def test_a_file_that_ends_in_its_first_bytes(length: int) -> None:
    refusal(bytes(length))

"""Checkpoints that are damaged, or something else altogether, are refused in one sentence."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perception.configuration import ConfigurationError
from perception.models.checkpoints import read_tensors
from tests.models.refusals import PICKLERS, SAVERS, STATE, refusal


@pytest.fixture(params=SAVERS, ids=lambda saver: saver.__name__)
def sound(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A sound checkpoint without a telling suffix, as the published ones are."""
    request.param(STATE, tmp_path / "init")
    return tmp_path / "init"


def test_a_sound_one_is_read(sound: Path) -> None:
    tensors = read_tensors(sound)
    assert tensors.keys() == STATE.keys()
    assert all(torch.equal(tensors[name], tensor) for name, tensor in STATE.items())


@pytest.mark.parametrize("tenth", range(10))
def test_a_truncated_one(sound: Path, tenth: int) -> None:
    content = sound.read_bytes()
    sound.write_bytes(content[: len(content) * tenth // 10])
    refusal(sound)


@pytest.mark.parametrize("saver", SAVERS, ids=lambda saver: saver.__name__)
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_flipped_bytes_never_surprise(
    saver: Callable[[object, Path], None], tmp_path: Path, data: st.DataObject
) -> None:
    file = tmp_path / "init"
    saver(STATE, file)
    content = bytearray(file.read_bytes())
    places = st.one_of(st.integers(0, min(1500, len(content) - 1)), st.integers(0, len(content) - 1))
    for place in data.draw(st.lists(places, min_size=1, max_size=4)):
        content[place] ^= data.draw(st.integers(1, 255))
    file.write_bytes(content)
    try:
        tensors = read_tensors(file)
    except ConfigurationError:
        return
    assert all(torch.isfinite(tensor).all() for tensor in tensors.values())


def test_a_flipped_weight_of_an_archive_is_noticed(tmp_path: Path) -> None:
    torch.save(STATE, tmp_path / "init")
    content = bytearray((tmp_path / "init").read_bytes())
    at = content.index(STATE["conv.kernel"].numpy().tobytes())
    content[at + 1000] ^= 1
    (tmp_path / "init").write_bytes(content)
    assert "checksum" in refusal(tmp_path / "init")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html>Sign in</html>", "begins with '<!DOCTYPE html>"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "begins with 'version https://git-lfs"),
        (b"\x80", "not a PyTorch checkpoint, or damaged"),
        (bytes(1000), "not a checkpoint"),
        (b"\x89PNG\r\n\x1a\n\x00\x1b[31m", "not a checkpoint"),
    ],
)
def test_other_files(tmp_path: Path, content: bytes, expected: str) -> None:
    (tmp_path / "weights.pth").write_bytes(content)
    assert expected in refusal(tmp_path / "weights.pth")


def test_a_folder(tmp_path: Path) -> None:
    assert "is a folder" in refusal(tmp_path)


#: What a checkpoint may hold under a name besides plain numbers; made when a test runs, since torch warns of some.
ODD: dict[str, Callable[[], object]] = {
    "number": lambda: 3,
    "text": lambda: "text",
    "nothing": lambda: None,
    "list": lambda: [torch.zeros(2)],
    "sparse": lambda: torch.zeros(3, 3).to_sparse(),
    "sparse_rows": lambda: torch.zeros(3, 3).to_sparse_csr(),
    "quantised": lambda: torch.quantize_per_tensor(torch.zeros(3), 0.1, 0, torch.qint8),
    "meta": lambda: torch.zeros(3, device="meta"),
    "complex": lambda: torch.zeros(3, dtype=torch.complex64),
    "nan": lambda: torch.tensor([1.0, float("nan")]),
    "infinite": lambda: torch.tensor([1.0, -float("inf")]),
    "beyond_float32": lambda: torch.tensor([1e300], dtype=torch.float64),
}


@pytest.mark.parametrize("saver", PICKLERS, ids=lambda saver: saver.__name__)
@pytest.mark.parametrize("kind", list(ODD))
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_no_network_is_made_of(saver: Callable[[object, Path], None], kind: str, tmp_path: Path) -> None:
    saver({"model": {**STATE, "odd.one": ODD[kind]()}}, tmp_path / "odd.pth")
    assert "odd.one" in refusal(tmp_path / "odd.pth")


@pytest.mark.parametrize("name", [7, ("a", "b"), "two\nlines", "\x1b[31mred"])
def test_odd_names(name: object, tmp_path: Path) -> None:
    torch.save({name: torch.zeros(2)}, tmp_path / "odd.pth")
    assert "no tensor's name" in refusal(tmp_path / "odd.pth")


@pytest.mark.parametrize(
    "header",
    [
        {"a": {"dtype": "F32", "shape": [10**9], "data_offsets": [0, 8]}},
        {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 10**12]}},
        {"a": {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]}},
        {"a": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 8]}},
        {"a": {"dtype": "Q7", "shape": [2], "data_offsets": [0, 8]}},
        {"a": {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]}},
        {"a": 3},
    ],
    ids=json.dumps,
)
def test_a_safetensors_header_that_lies(header: dict[str, Any], tmp_path: Path) -> None:
    text = json.dumps(header).encode()
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(8))
    assert "damaged safetensors" in refusal(tmp_path / "a.safetensors")


@pytest.mark.parametrize("length", [0, 1, 2**40, 2**64 - 1])
def test_a_safetensors_header_of_another_length(length: int, tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", length) + b'{"a": 1}')
    assert "damaged safetensors" in refusal(tmp_path / "a.safetensors")

"""Weights come from safetensors and tensor-only checkpoints; everything else is refused in one sentence."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from perception.configuration import ConfigurationError
from perception.models.checkpoints import load_checkpoint, read_tensors
from perception.models.spvcnn import SPVCNN


@pytest.fixture
def network() -> SPVCNN:
    return SPVCNN(classes=3, width=0.125)


def _same(a: SPVCNN, b: SPVCNN) -> bool:
    return all(
        torch.equal(left, right) for left, right in zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    )


def _refused(network: SPVCNN, file: Path) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_checkpoint(network, file)
    message = str(caught.value)
    assert message.startswith(str(file))
    assert "\n" not in message
    return message


def test_safetensors(network: SPVCNN, tmp_path: Path) -> None:
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    other = SPVCNN(classes=3, width=0.125)
    load_checkpoint(other, tmp_path / "weights.safetensors")
    assert _same(network, other)


@pytest.mark.parametrize("nest", [lambda state: state, lambda state: {"model": state}])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_published_layouts(network: SPVCNN, tmp_path: Path, nest, prefix: str) -> None:
    state = {prefix + name: tensor for name, tensor in network.state_dict().items()}
    torch.save(nest(state), tmp_path / "max-iou-test.pt")
    other = SPVCNN(classes=3, width=0.125)
    load_checkpoint(other, tmp_path / "max-iou-test.pt")
    assert _same(network, other)


def test_another_width_is_named(network: SPVCNN, tmp_path: Path) -> None:
    save_file(SPVCNN(classes=3, width=0.25).state_dict(), tmp_path / "wide.safetensors")
    assert "check width" in _refused(network, tmp_path / "wide.safetensors")


def test_missing_and_foreign_names_are_counted(network: SPVCNN, tmp_path: Path) -> None:
    state = network.state_dict()
    state["encoder.weight"] = state.pop("classifier.0.weight")
    save_file(state, tmp_path / "foreign.safetensors")
    message = _refused(network, tmp_path / "foreign.safetensors")
    assert "1 missing (first: classifier.0.weight)" in message
    assert "1 unknown (first: encoder.weight)" in message


@pytest.mark.parametrize("name", ["cut.safetensors", "cut.pt"])
def test_damaged_files(network: SPVCNN, tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    if file.suffix == ".pt":
        torch.save(network.state_dict(), file)
    else:
        save_file(network.state_dict(), file)
    file.write_bytes(file.read_bytes()[:-1000])
    assert "damaged" in _refused(network, file)


def test_missing_file(network: SPVCNN, tmp_path: Path) -> None:
    assert "no such file" in _refused(network, tmp_path / "nowhere.pt")


class _RunsCode:
    def __reduce__(self) -> tuple:
        return os.mkdir, ("ran",)


def test_a_pickle_is_never_executed(network: SPVCNN, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"model": _RunsCode()}, tmp_path / "evil.pt")
    assert "refused" in _refused(network, tmp_path / "evil.pt")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [{"epoch": 3}, [torch.zeros(2)], {}])
def test_a_checkpoint_without_weights(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "empty.pt")
    with pytest.raises(ConfigurationError, match="no network's weights"):
        read_tensors(tmp_path / "empty.pt")

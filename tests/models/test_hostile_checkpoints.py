"""Checkpoints that would run code or read foreign memory are refused in one sentence, and do neither."""

from __future__ import annotations

import builtins
import io
import os
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from perception.models.checkpoints import read_tensors
from tests.models.refusals import PICKLERS, STATE, refusal, save_zip


class _Call:
    """Unpickling it calls a function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


def _attacks() -> dict[str, _Call]:
    return {
        "system": _Call(os.system, "touch ran"),
        "eval": _Call(builtins.eval, "open('ran', 'w')"),
        "exec": _Call(builtins.exec, "open('ran', 'w')"),
        "open": _Call(builtins.open, "ran", "w"),
        "write": _Call(Path.write_text, Path("ran"), "here"),
        "nested_load": _Call(torch.load, "ran"),
        "getattr": _Call(getattr, "", "join"),
    }


@pytest.mark.parametrize("attack", list(_attacks()))
@pytest.mark.parametrize("place", [lambda call: {"model": call}, lambda call: {"model": STATE, "epoch": call}])
@pytest.mark.parametrize("saver", PICKLERS, ids=lambda saver: saver.__name__)
def test_code_is_refused_and_never_runs(
    saver: Callable[[object, Path], None],
    place: Callable[[object], object],
    attack: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    saver(place(_attacks()[attack]), tmp_path / "evil.pth")
    assert "refused, it asks for '" in refusal(tmp_path / "evil.pth")
    assert [entry.name for entry in tmp_path.iterdir()] == ["evil.pth"]


@pytest.mark.parametrize("protocol", range(6))
def test_a_bare_pickle_with_code_never_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: int) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.pth").write_bytes(pickle.dumps(_Call(os.system, "touch ran"), protocol))
    refusal(tmp_path / "evil.pth")
    assert [entry.name for entry in tmp_path.iterdir()] == ["evil.pth"]


def test_a_tar_of_the_first_pytorch_never_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    evil = pickle.dumps(_Call(os.system, "touch ran"), 2)
    with tarfile.open(tmp_path / "evil.pth", "w") as archive:
        for name in ("sys_info", "pickle", "tensors", "storages"):
            member = tarfile.TarInfo(name)
            member.size = len(evil)
            archive.addfile(member, io.BytesIO(evil))
    assert "PyTorch 0.1" in refusal(tmp_path / "evil.pth")
    assert [entry.name for entry in tmp_path.iterdir()] == ["evil.pth"]


def test_an_archive_of_something_else(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "weights.pth", "w") as archive:
        archive.writestr("report/thesis.docx", "text")
    assert "not a checkpoint of PyTorch" in refusal(tmp_path / "weights.pth")


def test_a_compressed_archive_is_not_unpacked(tmp_path: Path) -> None:
    """Members that grow a thousandfold would fill the memory."""
    with zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb/data.pkl", pickle.dumps({}, 2))
        archive.writestr("bomb/data/0", bytes(10_000_000))
    assert "not a checkpoint of PyTorch" in refusal(tmp_path / "bomb.pth")


@pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")
def test_a_torchscript_module(tmp_path: Path) -> None:
    with torch.jit.optimized_execution(False):
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), str(tmp_path / "script.pt"))
    refusal(tmp_path / "script.pt")


@pytest.mark.parametrize("saver", PICKLERS, ids=lambda saver: saver.__name__)
def test_a_tensor_larger_than_its_file(saver: Callable[[object, Path], None], tmp_path: Path) -> None:
    saver({"huge": torch.zeros(1).expand(10**12)}, tmp_path / "huge.pth")
    assert "more than the file holds" in refusal(tmp_path / "huge.pth")


@pytest.mark.parametrize("elements", [1201, 10**5, 10**9, 2**61])
@pytest.mark.parametrize("saver", PICKLERS, ids=lambda saver: saver.__name__)
def test_storage_that_claims_more_than_it_has(
    saver: Callable[[object, Path], None], elements: int, tmp_path: Path
) -> None:
    """A reader that believes it would hand out whatever memory comes next."""
    file = tmp_path / "lying.pth"
    saver({"weights": torch.full((1200,), 7.0)}, file)
    _claim(file, 1200, elements)
    if saver is save_zip and elements == 1201:  # the next bytes of the file: garbage, but no secret
        assert read_tensors(file)["weights"].numpy().tobytes() in file.read_bytes()
    else:
        refusal(file)


def _claim(file: Path, true: int, claimed: int) -> None:
    """Change a number in a checkpoint's pickle wherever it occurs; the checksum of the archive is made right again."""
    old, new = b"M" + struct.pack("<H", true), b"\x8a\x08" + struct.pack("<q", claimed)
    if not zipfile.is_zipfile(file):
        assert file.read_bytes().count(old) > 0
        file.write_bytes(file.read_bytes().replace(old, new))
        return
    with zipfile.ZipFile(file) as archive:
        members = {member.filename: archive.read(member) for member in archive.infolist()}
    assert members["lying/data.pkl"].count(old) == 2  # of the storage, and of the tensor
    members["lying/data.pkl"] = members["lying/data.pkl"].replace(old, new)
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)

"""Opening checkpoints that strangers made: their content says what they are, and nothing in them runs."""

from __future__ import annotations

import re
import tarfile
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from perception.bundle.files import open_file
from perception.configuration import ConfigurationError

_ZIP_START = b"PK\x03\x04"
_PICKLE_START = b"\x80"
#: A safetensors file begins with the length of its JSON header in 8 bytes.
_JSON_AT = 8
_SHOWN_BYTES = 30


def read_content(file: Path) -> Any:
    """Read what a checkpoint holds, as plain containers and tensors.

    Understands safetensors files and PyTorch's archives, also those from before 1.6. Tensors of an archive may still
    lie in the file: copy them before it changes.

    Raises:
        ConfigurationError: the file is something else, damaged, or asks for code to run.
    """
    head = _first_bytes(file)
    if file.suffix == ".safetensors" or head[_JSON_AT : _JSON_AT + 1] == b"{":
        return _read_safetensors(file)
    if head.startswith(_ZIP_START):
        _check_archive(file)
        return _read_pytorch(file, mmap=True)
    if head[0] and _is_tar(file):
        raise ConfigurationError(f"{file}: in the format of PyTorch 0.1, which could run code; save it again with 1.6")
    if head.startswith(_PICKLE_START):
        return _read_pytorch(file, mmap=False)
    shown = head[:_SHOWN_BYTES].decode("ascii", "replace")
    raise ConfigurationError(f"{file}: not a checkpoint, begins with {shown!r}; download the file itself, not its page")


def _first_bytes(file: Path) -> bytes:
    with open_file(file, "give a checkpoint file") as stream:
        head = stream.read(64)
    if not head:
        raise ConfigurationError(f"{file}: empty; download it again")
    return head


def _read_safetensors(file: Path) -> dict[str, torch.Tensor]:
    try:
        return load_file(file)
    except Exception as error:  # the library's own kind, and several of Python's for types that torch lacks
        reason = " ".join(str(error).split())[:200]
        raise ConfigurationError(f"{file}: damaged safetensors file ({reason})") from None


def _check_archive(file: Path) -> None:
    """Refuse what torch.load would take on trust: wrong checksums, and members that grow when they are unpacked."""
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            packed = any(member.compress_type != zipfile.ZIP_STORED for member in members)
            broken = None if packed else archive.testzip()
    except Exception:  # zipfile raises half a dozen kinds
        raise ConfigurationError(f"{file}: damaged or incomplete archive; download it again") from None
    if packed or not any(member.filename.endswith("/data.pkl") for member in members):
        raise ConfigurationError(
            f"{file}: an archive, but not a checkpoint of PyTorch; unpack it and give the file in it"
        )
    if broken:
        raise ConfigurationError(f"{file}: damaged, the checksum of its member {broken!r} is wrong; download it again")


def _is_tar(file: Path) -> bool:
    try:
        return tarfile.is_tarfile(file)
    except Exception:  # a header that is nearly one
        return False


def _read_pytorch(file: Path, mmap: bool) -> Any:
    """Load with torch's restricted unpickler.

    Args:
        file: what to load.
        mmap: leave tensors in the file. An archive that lies about their sizes then reads other bytes of itself;
            else torch would read whatever memory comes next.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(file, map_location="cpu", weights_only=True, mmap=mmap)
    except Exception as error:  # whatever a damaged pickle makes the unpickler do
        asked = re.search(r"GLOBAL ([\w.]+)", str(error))
        if asked:
            raise ConfigurationError(
                f"{file}: refused, it asks for '{asked[1]}': only tensors are read, Python objects could run code"
            ) from None
        raise ConfigurationError(f"{file}: not a PyTorch checkpoint, or damaged; download it again") from None

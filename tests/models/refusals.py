"""What the tests of damaged and malicious checkpoints share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from perception.configuration import ConfigurationError
from perception.models.checkpoints import read_tensors

STATE = {"conv.kernel": torch.arange(1200.0).reshape(3, 20, 20), "bn.num_batches_tracked": torch.tensor(3)}


def save_zip(content: object, file: Path) -> None:
    torch.save(content, file)


def save_legacy(content: object, file: Path) -> None:
    torch.save(content, file, _use_new_zipfile_serialization=False)


def save_safetensors(content: Any, file: Path) -> None:
    save_file(content, file.with_suffix(".safetensors"))
    file.with_suffix(".safetensors").rename(file)


SAVERS = [save_zip, save_legacy, save_safetensors]
PICKLERS = [save_zip, save_legacy]


def refusal(file: Path) -> str:
    """The one sentence with which a file is refused."""
    with pytest.raises(ConfigurationError) as caught:
        read_tensors(file)
    message = str(caught.value)
    assert message.startswith(f"{file}: ")
    assert message.isprintable()
    assert len(message) < len(str(file)) + 300
    return message.removeprefix(f"{file}: ")

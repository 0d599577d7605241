"""Reading golden cases.

A case is a folder with `spec.json` (the model, its configuration, and for each tensor of its checkpoint the shape and
the rule that it is drawn by), `inputs.npz` (absent where the inputs are files of a folder of samples) and
`outputs.npz` (what the official implementation computed). Weights are drawn and not stored.
"""

from __future__ import annotations

import json
import re
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydantic
from numpy.typing import NDArray

from perception.configuration import ConfigurationError, Settings, parse_settings

SPEC_FILE = "spec.json"
#: The names that a case's relative tolerance has.
TOLERANCE_KEYS = ("relative_frobenius_error", "relative_error")

Array = NDArray[Any]


class TensorRule(Settings):
    """How one tensor of a checkpoint comes about: a rule to draw it by, or its value."""

    shape: tuple[int, ...]
    rule: str | None = None
    value: Any = None
    dtype: str = "float32"


class GoldenSpec(Settings):
    """What every spec.json says; what else it says is in `more`."""

    model_config = pydantic.ConfigDict(extra="allow", frozen=True)

    model: str
    seed: int
    config: dict[str, Any]
    tensors: dict[str, TensorRule]
    tolerance: dict[str, Any]

    @property
    def kind(self) -> str:
        """The model's name, without what is said about it behind a colon; with it where it names a part."""
        name = self.model.partition(":")[0]
        return self.model if name.endswith("part") else name

    @property
    def more(self) -> dict[str, Any]:
        """What only some models' specs say."""
        return self.model_extra or {}


@dataclass(frozen=True)
class GoldenCase:
    """One network or operation, its inputs, and the outputs to reach.

    Attributes:
        folder: where it was read from.
        spec: what was run.
        inputs: by name; empty where the case takes its inputs from `sample`.
        outputs: by name.
        shared: the folder whose `data` holds the samples that specs name.
    """

    folder: Path
    spec: GoldenSpec
    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]
    shared: Path

    @property
    def name(self) -> str:
        """The last two folders."""
        return "/".join(self.folder.parts[-2:])

    @property
    def tolerance(self) -> float:
        """The relative error in the Frobenius norm that an output may have.

        Raises:
            ConfigurationError: the spec has none.
        """
        for key in TOLERANCE_KEYS:
            if isinstance(self.spec.tolerance.get(key), float):
                return float(self.spec.tolerance[key])
        in_words = re.match(r"relative_error < (\S+)", str(self.spec.tolerance.get("floats")))
        if in_words:
            return float(in_words[1])
        raise ConfigurationError(f"{self.folder / SPEC_FILE}: tolerance has none of {', '.join(TOLERANCE_KEYS)}")

    def weights(self) -> dict[str, Array]:
        """Draw the tensors of the checkpoint, by its own names.

        Raises:
            ConfigurationError: a rule that is not known.
        """
        try:
            return {name: _tensor(name, rule, self.spec.seed) for name, rule in self.spec.tensors.items()}
        except (ValueError, TypeError) as error:
            raise ConfigurationError(f"{self.folder / SPEC_FILE}: tensors: {error}") from None

    def sample(self, file: str) -> Path:
        """Find a file of the samples, for instance "semantickitti_sample/000000.bin".

        Raises:
            ConfigurationError: it is not there.
        """
        path = self.shared / "data" / file
        if not path.is_file():
            raise ConfigurationError(f"{path}: missing; give the folder that holds data/{file} with --shared")
        return path


def find_cases(folders: Iterable[Path], shared: Path) -> list[GoldenCase]:
    """Read every case below some folders, in the order of their paths.

    Raises:
        ConfigurationError: a folder without cases, or a case that cannot be read.
    """
    cases = []
    for folder in folders:
        files = sorted(folder.rglob(SPEC_FILE))
        if not files:
            raise ConfigurationError(f"{folder}: holds no golden cases, which are folders with {SPEC_FILE}")
        cases += [load_case(file.parent, shared) for file in files]
    return cases


def load_case(folder: Path, shared: Path) -> GoldenCase:
    """Read one case; errors as in `find_cases`."""
    spec = _spec(folder / SPEC_FILE)
    inputs = _arrays(folder / "inputs.npz") if (folder / "inputs.npz").exists() else {}
    return GoldenCase(folder, spec, inputs, _arrays(folder / "outputs.npz"), shared)


def draw(name: str, shape: tuple[int, ...], rule: str, seed: int) -> Array:
    """Draw a tensor, which depends on its name, shape and rule and on the seed alone.

    Rules: normal:STD, uniform:LOW:HIGH, zeros, ones (float32), int0 (int64 zeros).

    Raises:
        ValueError: another rule.
    """
    generator = np.random.default_rng([seed, zlib.crc32(name.encode())])
    match rule.split(":"):
        case ["normal", deviation]:
            return (generator.standard_normal(shape) * float(deviation)).astype(np.float32)
        case ["uniform", low, high]:
            return generator.uniform(float(low), float(high), shape).astype(np.float32)
        case ["zeros"]:
            return np.zeros(shape, np.float32)
        case ["ones"]:
            return np.ones(shape, np.float32)
        case ["int0"]:
            return np.zeros(shape, np.int64)
    raise ValueError(f"'{rule}' of {name} is no rule to draw a tensor by")


def _spec(file: Path) -> GoldenSpec:
    try:
        content = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{file}: cannot be read as JSON ({error})") from None
    return parse_settings(GoldenSpec, content, file)


def _tensor(name: str, rule: TensorRule, seed: int) -> Array:
    if rule.value is not None:
        return np.asarray(rule.value, rule.dtype).reshape(rule.shape)
    if rule.rule is None:
        raise ValueError(f"{name} has neither rule nor value")
    return draw(name, rule.shape, rule.rule, seed)


def _arrays(file: Path) -> dict[str, Array]:
    try:
        with np.load(file) as stored:
            return dict(stored)
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise ConfigurationError(f"{file}: cannot be read as arrays ({error})") from None

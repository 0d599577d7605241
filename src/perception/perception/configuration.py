"""Reading YAML configuration strictly: a wrong file stops the start with one line that says what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import pydantic
import yaml


class ConfigurationError(ValueError):
    """A file, key or value that cannot be used; the message is one line for the person who wrote it."""


class Settings(pydantic.BaseModel):
    """Base of every settings class: unknown keys are errors, values never change after loading."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


SettingsType = TypeVar("SettingsType", bound=Settings)


def load_yaml(path: str | Path) -> Any:
    """Read one YAML document.

    Raises:
        ConfigurationError: the file cannot be read or is not YAML.
    """
    try:
        return yaml.safe_load(Path(path).read_text())
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read ({error.strerror or error})") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        raise ConfigurationError(f"{path}: not valid YAML{where}") from None


def parse_settings(kind: type[SettingsType], values: Any, source: str | Path) -> SettingsType:
    """Validate values that were read from `source`.

    Raises:
        ConfigurationError: names the source, the key and what was expected there.
    """
    if not isinstance(values, dict):
        raise ConfigurationError(f"{source}: expected a mapping of keys to values, found {type(values).__name__}")
    try:
        return kind.model_validate(values)
    except pydantic.ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(str(part) for part in problem["loc"]) or "(whole file)"
        if problem["type"] == "extra_forbidden":
            known = ", ".join(sorted(_settings_at(kind, problem["loc"][:-1]).model_fields)) or "none"
            raise ConfigurationError(f"{source}: unknown key '{key}' (known here: {known})") from None
        found = "" if problem["type"] == "missing" else f", found {problem['input']!r}"
        raise ConfigurationError(f"{source}: {key}: {problem['msg']}{found}") from None


def _settings_at(kind: type[pydantic.BaseModel], location: tuple[int | str, ...]) -> type[pydantic.BaseModel]:
    """The settings class that a nested mapping is validated by."""
    for part in location:
        field = kind.model_fields.get(str(part))
        if field is None or not (isinstance(field.annotation, type) and issubclass(field.annotation, Settings)):
            return Settings
        kind = field.annotation
    return kind


def load_settings(kind: type[SettingsType], path: str | Path) -> SettingsType:
    """Read and validate a settings file; errors as in `load_yaml` and `parse_settings`."""
    return parse_settings(kind, load_yaml(path), path)

"""Reading YAML configuration strictly: a wrong file stops the start with one line that says what to do."""

from __future__ import annotations

import reprlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import pydantic
import yaml

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_QUOTE = "'"
_SHOWN_CHARACTERS = 80
_MOST_CHARACTERS = 500


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
        return parse_yaml(Path(path).read_bytes(), path)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read ({error.strerror or error})") from None


def parse_yaml(content: bytes, source: str | Path, aliases: bool = True) -> Any:
    """Read one YAML document that was read from `source`.

    Args:
        content: the file.
        source: for messages.
        aliases: whether a value may be named and used again. A few of them, nested, stand for more than any memory
            holds: files from elsewhere have none.

    Raises:
        ConfigurationError: it is not YAML.
    """
    try:
        return (_Loader if aliases else _PlainLoader)(content.decode("utf-8")).get_single_data()
    except UnicodeDecodeError:
        reason = "not UTF-8 text"
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        reason = f"not valid YAML{where}" + (f" ({error.problem})" if isinstance(error, _RefusedError) else "")
    except RecursionError:
        reason = "nested too deeply"
    except ValueError:  # what looks like a date or a number and is none
        reason = "not valid YAML (a date or number out of range)"
    raise ConfigurationError(f"{source}: {reason}")


class _RefusedError(yaml.MarkedYAMLError):
    """Something that YAML allows, or that the reader takes."""


class _Loader(yaml.SafeLoader):
    """Refuses keys that stand in one mapping twice, of which the last would win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Turn a mapping into a dictionary."""
        keys = [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)] if node.id == "mapping" else []
        seen = set()
        for key in keys:
            if key.value in seen and key.tag != "tag:yaml.org,2002:merge":
                raise _RefusedError(problem=f"the key {key.value!r} twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


class _PlainLoader(_Loader):
    """Refuses aliases."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Turn events into a node."""
        if self.check_event(yaml.AliasEvent):
            raise _RefusedError(problem="an alias; write the value out", problem_mark=self.peek_event().start_mark)
        return super().compose_node(parent, index)


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
        raise ConfigurationError(f"{source}: {_one_line(_in_words(kind, error.errors()[0]))}") from None


def _in_words(kind: type[pydantic.BaseModel], problem: ErrorDetails) -> str:
    """Say what is wrong: the key as the file spells it, and what was expected there."""
    inside, key = _settings_at(kind, problem["loc"][:-1] if problem["type"] == "extra_forbidden" else problem["loc"])
    context = problem.get("ctx", {})
    if problem["type"] == "extra_forbidden":
        known = ", ".join(sorted(inside.model_fields)) or "none"
        return f"unknown key '{'.'.join([*key, str(problem['loc'][-1])])}' (known here: {known})"
    if problem["type"] == "union_tag_invalid":
        known = context["expected_tags"].replace("'", "")
        return f"{'.'.join(key)}.{context['discriminator'].strip(_QUOTE)}: unknown '{context['tag']}' (known: {known})"
    if problem["type"] == "union_tag_not_found":
        return f"{'.'.join(key)}.{context['discriminator'].strip(_QUOTE)}: Field required"
    if problem["type"] == "value_error" and isinstance(problem["input"], dict):  # it says itself what it found
        return f"{'.'.join(key) or '(whole file)'}: {context['error']}"
    found = "" if problem["type"] == "missing" else f", found {_shown(problem['input'])}"
    return f"{'.'.join(key) or '(whole file)'}: {problem['msg']}{found}"


def _shown(value: Any) -> str:
    """A value as the file has it, shortened: it may be large, or nested without end."""
    shortener = reprlib.Repr()
    shortener.maxstring = shortener.maxother = _SHOWN_CHARACTERS
    try:
        return shortener.repr(value)
    except ValueError:  # an integer with thousands of digits
        return "a number that is too large"


def _one_line(text: str) -> str:
    """Make a message that quotes a file printable, and short enough to be read."""
    printable = "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)
    return printable if len(printable) <= _MOST_CHARACTERS else f"{printable[:_MOST_CHARACTERS]}..."


def _settings_at(
    kind: type[pydantic.BaseModel], location: tuple[int | str, ...]
) -> tuple[type[pydantic.BaseModel], list[str]]:
    """The settings class that a nested mapping is validated by, and the keys that lead to it."""
    keys: list[str] = []
    parts = iter(location)
    for part in parts:
        keys.append(str(part))
        if isinstance(part, int):  # an item of a list, whose class was found before
            continue
        field = kind.model_fields.get(part)
        kinds = _settings_in(field.annotation) if field else []
        if field and field.discriminator:  # the location names the chosen class by its tag, which is no key
            tag = next(parts, None)
            kinds = [one for one in kinds if tag in get_args(one.model_fields[str(field.discriminator)].annotation)]
        kind = kinds[0] if len(kinds) == 1 else Settings
    return kind, keys


def _settings_in(annotation: Any) -> list[type[pydantic.BaseModel]]:
    """The settings classes that a type is made of, each once."""
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return [annotation]
    return list(dict.fromkeys(kind for part in get_args(annotation) for kind in _settings_in(part)))


def load_settings(kind: type[SettingsType], path: str | Path) -> SettingsType:
    """Read and validate a settings file; errors as in `load_yaml` and `parse_settings`."""
    return parse_settings(kind, load_yaml(path), path)

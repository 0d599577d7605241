"""JSON from files that strangers made: one meaning only, and nothing that grows when it is read."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, NoReturn

from perception.configuration import ConfigurationError

#: Digits of the largest 64-bit number.
MOST_DIGITS = 19
_SHOWN_CHARACTERS = 40


class _RefusedError(ValueError):
    """What JSON allows, or Python's reader takes, but no file of a bundle needs; the message says what."""


def parse_json(content: bytes, source: str | Path) -> Any:
    """Read a JSON document strictly.

    Raises:
        ConfigurationError: it is not UTF-8 or not JSON, a key stands in it twice, a number is not finite or very
            large, or it is nested deeply.
    """
    try:
        return json.loads(
            content.decode("utf-8"),
            object_pairs_hook=_mapping,
            parse_int=_integer,
            parse_float=_number,
            parse_constant=_refuse_constant,
        )
    except UnicodeDecodeError:
        reason = "not UTF-8 text"
    except _RefusedError as error:
        reason = str(error)
    except json.JSONDecodeError as error:
        reason = f"not valid JSON in line {error.lineno}"
    except RecursionError:
        reason = "nested too deeply"
    raise ConfigurationError(f"{source}: {reason}; export the bundle again")


def _mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for number, key in enumerate(keys) if key in keys[:number])
        raise _RefusedError(f"the key {_shown(twice)} stands in it twice")
    return mapping


def _integer(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise _RefusedError(f"the number {_shown(digits)} is too large")
    return int(digits)


def _number(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise _RefusedError(f"the number {_shown(digits)} is too large")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise _RefusedError(f"{name} is not a number")


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}...")

"""`--fail-if "mAP < 0.5"`: conditions on the figures of an evaluation under which it counts as failed."""

from __future__ import annotations

import difflib
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from perception.configuration import ConfigurationError
from perception.evaluation.figures import figures_of, look_up
from perception.evaluation.results import EvaluationResults

GRAMMAR = "[MODEL:][delta.|relative.]FIGURE < | <= | > | >= NUMBER [significant]"
#: What a comparison of two evaluations adds before a figure's name: second less first, and that over the first.
CHANGES = ("delta.", "relative.")

_PATTERN = re.compile(
    r"\s*(?:(?P<model>[^\s:<>=]+):)?(?P<figure>[^\s:<>=]+)\s*(?P<sign><=|>=|<|>)\s*(?P<limit>[^\s<>=]+)"
    r"(?P<significant>\s+significant)?\s*"
)
_SIGNS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
#: How many of the known names an error lists.
_MOST_NAMES = 15


class Measured(NamedTuple):
    """A figure.

    Attributes:
        value: None where it is not known.
        significant: of a change, whether its 95 % interval leaves 0 out; None where there is no interval.
    """

    value: float | None
    significant: bool | None = None


#: Network -> figure -> what was measured.
MeasuredModels: TypeAlias = Mapping[str, Mapping[str, Measured]]


class Gate(NamedTuple):
    """A condition that fails a run.

    Attributes:
        text: as it was written.
        model: the network whose figure it is; empty: every one that has it.
        significant: whether a change fails only when it is significant.
    """

    text: str
    model: str
    figure: str
    sign: str
    limit: float
    significant: bool


def parse_gates(expressions: Iterable[str]) -> tuple[Gate, ...]:
    """Read conditions.

    Raises:
        ConfigurationError: one cannot be read.
    """
    return tuple(map(_parse, expressions))


def failed_gates(results: EvaluationResults, expressions: Iterable[str]) -> list[str]:
    """Check an evaluation.

    Args:
        results: the evaluation.
        expressions: conditions as in `GRAMMAR`, without changes, which take two evaluations.

    Returns:
        One line for each condition and network that fails, which says by how much.

    Raises:
        ConfigurationError: an expression cannot be read, or names what does not exist.
    """
    gates = parse_gates(expressions)
    for gate in gates:
        if gate.figure.startswith(CHANGES):
            raise ConfigurationError(f"--fail-if '{gate.text}': changes take two runs; give it to perception compare")
    models = {
        model.name: {name: Measured(value) for name, value in figures_of(model).items()} for model in results.models
    }
    return check_gates(gates, models)


def check_gates(gates: Sequence[Gate], models: MeasuredModels) -> list[str]:
    """Check figures; lines and errors as in `failed_gates`."""
    lines = []
    for gate in gates:
        for model in _models_of(gate, models):
            key = look_up(_values(models[model]), gate.figure)
            if key is not None and (reason := _failure(gate, models[model][key])):
                lines.append(f"{gate.text}: {model} has {reason}")
    return lines


def _parse(expression: str) -> Gate:
    found = _PATTERN.fullmatch(expression)
    limit = _number(found["limit"]) if found else None
    if found is None or limit is None:
        raise ConfigurationError(f"--fail-if '{expression}': expected {GRAMMAR}, such as \"mAP < 0.5\"")
    significant = found["significant"] is not None
    if significant and not found["figure"].startswith(CHANGES):
        raise ConfigurationError(f"--fail-if '{expression}': only changes are significant; begin with delta.")
    return Gate(
        expression.strip(), found["model"] or "", found["figure"], found["sign"], limit, significant=significant
    )


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _models_of(gate: Gate, models: MeasuredModels) -> list[str]:
    """The networks that a condition is about, at least one."""
    if gate.model and gate.model not in models:
        raise ConfigurationError(f"--fail-if '{gate.text}': no network '{gate.model}' (there are: {', '.join(models)})")
    asked = [gate.model] if gate.model else list(models)
    having = [model for model in asked if look_up(_values(models[model]), gate.figure) is not None]
    if not having:
        known = dict.fromkeys(name for model in asked for name in models[model] if not name.endswith("*"))
        there_are = f"there are: {_nearest(gate, known)}"
        raise ConfigurationError(f"--fail-if '{gate.text}': no figure '{gate.figure}' ({there_are})")
    return having


def _values(figures: Mapping[str, Measured]) -> dict[str, float | None]:
    return {name: measured.value for name, measured in figures.items()}


def _nearest(gate: Gate, known: Iterable[str]) -> str:
    """The known names, those that are spelled most alike first."""
    wanted = gate.figure.casefold()

    def likeness(name: str) -> float:
        return difflib.SequenceMatcher(None, wanted, name.casefold()).ratio()

    ranked = sorted(known, key=likeness, reverse=True)
    more = f" and {len(ranked) - _MOST_NAMES} more" if len(ranked) > _MOST_NAMES else ""
    return ", ".join(ranked[:_MOST_NAMES]) + more


def _failure(gate: Gate, measured: Measured) -> str:
    """Why a figure fails, empty where it does not."""
    if measured.value is None:
        return f"no {gate.figure}: nothing was measured"
    if not _SIGNS[gate.sign](measured.value, gate.limit):
        return ""
    if gate.significant and not measured.significant:
        return "" if measured.significant is False else f"{_shown(measured.value)}, and nothing to tell if it is chance"
    if measured.value == gate.limit:
        return f"{_shown(measured.value)}, the limit itself"
    way = "below" if measured.value < gate.limit else "above"
    return f"{_shown(measured.value)}, {_shown(abs(measured.value - gate.limit))} {way} {_shown(gate.limit)}"


def _shown(value: float) -> str:
    return f"{value:.4g}"

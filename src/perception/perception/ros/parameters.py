"""Parameters of a node as one table: declared, validated, described and documented from the same rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.parameter import Parameter

if TYPE_CHECKING:
    from rclpy.node import Node

ParameterValue = bool | int | float | str | tuple[str, ...]

TYPES: dict[type, tuple[str, Parameter.Type]] = {
    bool: ("bool", Parameter.Type.BOOL),
    int: ("int", Parameter.Type.INTEGER),
    float: ("double", Parameter.Type.DOUBLE),
    str: ("string", Parameter.Type.STRING),
    tuple: ("string[]", Parameter.Type.STRING_ARRAY),
}


@dataclass(frozen=True)
class ParameterRow:
    """One parameter.

    Attributes:
        name: its name, with the unit where it has one.
        default: also says the type: bool, int, float, str, or a tuple of strings.
        description: one sentence.
        minimum, maximum: inclusive range of a number.
        choices: the strings that are allowed; empty: any.
        check: says what is wrong with a value, or nothing.
        takes_effect: when a new value counts: "at once", "on activate", "on configure", or "at start" (read-only).
    """

    name: str
    default: ParameterValue
    description: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    check: Callable[[Any], str] | None = None
    takes_effect: str = "at once"

    @property
    def type_name(self) -> str:
        """The type as ROS 2 tools print it."""
        return TYPES[type(self.default)][0]

    @property
    def read_only(self) -> bool:
        """Whether it can only be given at the start."""
        return self.takes_effect == "at start"

    @property
    def range_text(self) -> str:
        """The allowed values, for people."""
        if self.choices:
            return ", ".join(self.choices)
        return "" if self.minimum is None else f"{self.minimum:g} to {self.maximum:g}"

    def problem_with(self, value: Any) -> str:
        """Say what is wrong with a value, or an empty string; rclpy has checked type and range already."""
        if self.choices and value not in self.choices:
            return f"{self.name}: {value!r} is not one of {', '.join(self.choices)}"
        problem = self.check(value) if self.check else ""
        return f"{self.name}: {problem}" if problem else ""

    def descriptor(self) -> ParameterDescriptor:
        """What `ros2 param describe` shows; rclpy enforces type, range and read-only from it."""
        descriptor = ParameterDescriptor(
            name=self.name,
            type=TYPES[type(self.default)][1].value,
            description=f"{self.description} Takes effect {self.takes_effect}.",
            additional_constraints=self.range_text,
            read_only=self.read_only,
        )
        if self.minimum is not None and self.maximum is not None:
            if isinstance(self.default, float):
                bounds = FloatingPointRange(from_value=float(self.minimum), to_value=float(self.maximum))
                descriptor.floating_point_range = [bounds]
            else:
                whole = IntegerRange(from_value=int(self.minimum), to_value=int(self.maximum), step=1)
                descriptor.integer_range = [whole]
        return descriptor


class NodeParameters:
    """The current values of a node's table; kept up to date while the node runs.

    Args:
        node: the node on which the parameters are declared.
        table: its rows.

    Raises:
        rclpy.exceptions.ParameterException: a value given at the start has the wrong type or is out of range.
    """

    def __init__(self, node: Node, table: Sequence[ParameterRow]) -> None:
        self._node = node
        self._rows = {row.name: row for row in table}
        node.add_on_set_parameters_callback(self._validate)
        for row in table:
            default = list(row.default) if isinstance(row.default, tuple) else row.default
            node.declare_parameter(row.name, default, row.descriptor())

    def __getitem__(self, name: str) -> Any:
        return self._node.get_parameter(name).value

    def names(self, name: str) -> tuple[str, ...]:
        """A string array without empty strings (ROS 2 cannot tell an empty array's type, so [''] means none)."""
        return tuple(value for value in self[name] if value)

    def _validate(self, parameters: list[Parameter]) -> SetParametersResult:
        for parameter in parameters:
            row = self._rows.get(parameter.name)
            problem = row.problem_with(parameter.value) if row else ""
            if problem:
                return SetParametersResult(successful=False, reason=problem)
        return SetParametersResult(successful=True)


def markdown_table(table: Sequence[ParameterRow]) -> str:
    """The table as Markdown, for the README."""
    lines = ["| parameter | type | default | allowed | takes effect | meaning |", "|---|---|---|---|---|---|"]
    for row in table:
        default = "none" if row.default in (("",), "") else _text(row.default)
        cells = [f"`{row.name}`", row.type_name, default, row.range_text, row.takes_effect, row.description]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _text(value: ParameterValue) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"`[{', '.join(value)}]`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"

"""Check node parameters in bringup.yaml before anything starts, against the table that the node declares."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from perception.configuration import ConfigurationError
from perception.ros.parameter_tables import TABLES
from perception.ros.parameters import ParameterRow

#: Parameters that bring-up sets itself -> what to use instead.
SET_BY_BRINGUP = {
    "bundle": "list the bundle under 'models'",
    "device": "set the top-level 'device'",
    "autostart": "bring-up always starts its nodes",
    "use_sim_time": "set the top-level 'use_sim_time'",
}


def check_node_parameters(node: str, parameters: Mapping[str, Any], source: Path) -> dict[str, Any]:
    """Refuse an unknown node, an unknown parameter, and a value of the wrong type or range.

    Returns:
        The parameters, with whole numbers made floats where ROS 2 would otherwise refuse them.

    Raises:
        ConfigurationError: names the file, the key, and what was expected.
    """
    if node not in TABLES:
        raise ConfigurationError(f"{source}: nodes: unknown key '{node}' (known here: {', '.join(sorted(TABLES))})")
    rows = {row.name: row for row in TABLES[node]}
    checked: dict[str, Any] = {}
    for name, given in parameters.items():
        key = f"nodes.{node}.{name}"
        if name in SET_BY_BRINGUP:
            raise ConfigurationError(f"{source}: {key}: not set here; {SET_BY_BRINGUP[name]}")
        if name not in rows:
            known = ", ".join(sorted(rows.keys() - SET_BY_BRINGUP.keys()))
            raise ConfigurationError(f"{source}: {key}: unknown parameter (known here: {known})")
        is_whole = type(given) is int and isinstance(rows[name].default, float)
        checked[name] = float(given) if is_whole else given
        if not _fits(rows[name], checked[name]):
            wanted = " ".join(filter(None, (rows[name].type_name, rows[name].range_text)))
            raise ConfigurationError(f"{source}: {key}: expected {wanted}, found {given!r}")
        problem = rows[name].problem_with(checked[name])
        if problem:
            raise ConfigurationError(f"{source}: nodes.{node}.{problem}")
    return checked


def _fits(row: ParameterRow, value: Any) -> bool:
    if isinstance(row.default, tuple):
        return isinstance(value, list) and all(isinstance(item, str) for item in value) and value != []
    if type(value) is not type(row.default):
        return False
    if row.minimum is not None and row.maximum is not None and isinstance(value, int | float):
        return bool(row.minimum <= value <= row.maximum)
    return not row.choices or value in row.choices

"""What the values, operations and stages of an exported network are called."""

from __future__ import annotations

import re
from typing import Any

from torch import fx, nn

from perception.configuration import ConfigurationError

#: Where tables are made.
TABLE_STAGE = "maps"
#: What happens between points and voxels, in no module's own forward.
EXCHANGE_STAGE = "exchange"
#: Lists of stages; elsewhere a stage is the first word of a module's path.
NUMBERED = ("downsample", "upsample", "point_features")
ROLE_LENGTH = 40


def arguments(node: fx.Node) -> tuple[Any, ...]:
    """The arguments of a step, as whoever knows the step takes them to be."""
    return node.args


def scope_of(node: fx.Node) -> str:
    """The path of the module that a step belongs to; empty in the network's own forward."""
    stack = list(node.meta.get("nn_module_stack", {}))
    return str(stack[-1]) if stack else ""


def stage_of(path: str) -> str:
    """The stage that a module belongs to."""
    words = path.split(".")
    return ".".join(words[: 2 if words[0] in NUMBERED else 1]) or EXCHANGE_STAGE


def role_of(value: str) -> str:
    """A value's name as a region may call it."""
    return re.sub("[^a-z0-9]+", "_", value.lower())[-ROLE_LENGTH:].strip("_")


def inexpressible(node: fx.Node, network: nn.Module, reason: str = "") -> ConfigurationError:
    """The error for a step that has no operation in the executor."""
    where = scope_of(node) or type(network).__name__
    if node.op == "call_module":
        what = type(network.get_submodule(str(node.target))).__name__
    else:
        what = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))
    because = f" ({reason})" if reason else ""
    return ConfigurationError(f"'{where}': the executor has no operation for '{what}'{because}; export needs one")

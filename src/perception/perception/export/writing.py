"""Operations of a graph that are written down rather than traced."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perception.bundle.graph import Operation


def operation(
    op: str,
    name: str,
    inputs: dict[str, str],
    outputs: dict[str, str] | str,
    attributes: Mapping[str, Any],
    stage: str = "maps",
) -> Operation:
    """Write one down; `outputs` alone names the features that it makes."""
    made = {"features": outputs} if isinstance(outputs, str) else outputs
    return Operation(name=name, op=op, stage=stage, inputs=inputs, outputs=made, attributes=dict(attributes))


def layer(
    name: str,
    inputs: dict[str, str],
    output: str,
    weights: dict[str, str],
    attributes: Mapping[str, Any],
    stage: str,
) -> Operation:
    """Write down a linear layer; its features are `output`."""
    return operation("linear", name, inputs, output, attributes, stage).model_copy(update={"weights": weights})

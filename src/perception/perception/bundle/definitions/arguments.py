"""What a definition is made of: an operation's arguments, and how they are checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from perception.bundle.graph import Operation, Size, Spec
from perception.bundle.supernet import NORM_VECTORS

#: Shapes of the tensors in weights.safetensors, by name.
Shapes = Mapping[str, tuple[int, ...]]


class MisfitError(ValueError):
    """An operation that does not fit what goes into it; the message goes after its name."""


@dataclass(frozen=True)
class Arguments:
    """An operation with the types and shapes of what goes into it."""

    operation: Operation
    inputs: Mapping[str, Spec]
    shapes: Shapes

    def spec(self, role: str, dtype: str | None, *shape: Size | None) -> Spec:
        """An input, which must have the type (None: the operation's) and shape (None: any size)."""
        spec, wanted = self.inputs[role], dtype or self.operation.dtype
        fits = len(spec.shape) == len(shape) and all(b in (None, a) for a, b in zip(spec.shape, shape, strict=True))
        if spec.dtype != wanted or not fits:
            sizes = ", ".join("any" if size is None else str(size) for size in shape)
            raise MisfitError(f"its input '{role}' is {spec}, expected {wanted} [{sizes}]")
        return spec

    def weight(self, role: str, *shape: Size | None) -> tuple[int, ...]:
        """The shape of a weight, which must fit (None: any size)."""
        name = self.operation.weights[role]
        found = self.shapes.get(name)
        if found is None:
            raise MisfitError(f"there is no tensor '{name}' in the weights")
        if len(found) != len(shape) or any(b not in (None, a) for a, b in zip(found, shape, strict=True)):
            sizes = ", ".join("any" if size is None else str(size) for size in shape)
            raise MisfitError(f"'{name}' has the shape {list(found)}, expected [{sizes}]")
        return found

    def attribute(self, name: str, kind: type, default: Any = None) -> Any:
        """An attribute of a type; the default where it is left out."""
        value = self.operation.attributes.get(name, default)
        if type(value) is not kind:
            raise MisfitError(f"its attribute '{name}' is {value!r}, expected {kind.__name__}")
        return value

    def used_channels(self, role: str) -> Size:
        """How many channels of an input are used: those from "first_channel" on, "channels" many; all by default."""
        held = self.inputs[role].shape[-1]
        if not isinstance(held, int) or not {"first_channel", "channels"} & set(self.operation.attributes):
            return held
        first = self.attribute("first_channel", int, 0)
        used: int = self.attribute("channels", int, held - first)
        if first < 0 or used < 1 or first + used > held:
            raise MisfitError(f"its attributes 'first_channel' and 'channels' must lie in the {held} of '{role}'")
        return used

    def finish(self, rows: Size, channels: int, norm_channels: int | None = None) -> dict[str, Spec]:
        """What convolutions and linear layers end with: batch norm, bias, residual, ReLU.

        Args:
            rows: of the result.
            channels: of the result.
            norm_channels: of the batch norm and bias, where the layer uses a part of them only.
        """
        weights, held = self.operation.weights, norm_channels or channels
        if "norm" in weights:
            for vector in NORM_VECTORS:
                name = f"{weights['norm']}.{vector}"
                if name not in self.shapes:
                    raise MisfitError(f"there is no tensor '{name}' in the weights")
                if self.shapes[name] != (held,):
                    raise MisfitError(f"'{name}' has the shape {list(self.shapes[name])}, expected [{held}]")
            if not 0 < self.attribute("norm_epsilon", float, 1e-5) < 1:
                raise MisfitError("its attribute 'norm_epsilon' must lie between 0 and 1")
        if "bias" in weights:
            self.weight("bias", held)
        if "residual_rows" in self.inputs:
            self.spec("residual_rows", "int32", rows)
            self.spec("residual", None, None, channels)
        elif "residual" in self.inputs:
            self.spec("residual", None, rows, channels)
        self.attribute("relu", bool, False)
        return {"features": Spec(dtype=self.operation.dtype, shape=(rows, channels))}


@dataclass(frozen=True)
class Definition:
    """An operation of the executor.

    Attributes:
        inputs: roles that it must have.
        infer: types and shapes of what it gives.
        optional: roles that it may have.
        weights: the same of weights; `a|b` is one of two.
        multiplications: multiply-accumulates, given the arguments, what it gives, and counts; none by default.
        is_table: whether it depends on where voxels are only, not on features.
        is_planned: whether it writes features into memory that is planned for it.
        new_sizes: attributes that name sizes that are known once it ran.
    """

    inputs: tuple[str, ...]
    infer: Callable[[Arguments], dict[str, Spec]]
    optional: tuple[str, ...] = ()
    weights: tuple[str, ...] = ()
    optional_weights: tuple[str, ...] = ()
    multiplications: Callable[[Arguments, Mapping[str, int]], int] | None = None
    is_table: bool = False
    is_planned: bool = False
    new_sizes: tuple[str, ...] = ()


def pairs_of(table: str) -> str:
    """The name under which counts say how many entries of a table exist."""
    return f"pairs of {table}"


def size_of(size: Size, counts: Mapping[str, int]) -> int:
    """A size, by its name where it has one."""
    return counts[size] if isinstance(size, str) else size

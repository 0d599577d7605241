"""Which part of one piece of memory each value of a network uses: values that are not needed at the same time share it.

Sizes depend on the frame, through the number of voxels of every level. So the plan keeps when each value is needed, and
places the values anew when the counts change; counts are rounded up first, so that most frames find a layout ready.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from perception.bundle.definitions import DEFINITIONS
from perception.bundle.graph import CheckedGraph, Spec

#: Every value begins at a multiple of this many bytes.
ALIGNMENT = 256
MOST_LAYOUTS = 64


@dataclass(frozen=True)
class Lifetime:
    """When a value is needed.

    Attributes:
        value: its name.
        spec: type and shape.
        begin: number of the operation that makes it.
        end: number of the last operation that reads it.
    """

    value: str
    spec: Spec
    begin: int
    end: int

    def overlaps(self, other: Lifetime) -> bool:
        """Whether both are needed at the same time. An operation never writes over what it reads."""
        return self.begin <= other.end and other.begin <= self.end


@dataclass(frozen=True)
class Layout:
    """Where values lie for certain counts.

    Attributes:
        offsets: bytes from the start, by value.
        total: bytes of all.
    """

    offsets: Mapping[str, int]
    total: int


@dataclass
class MemoryPlan:
    """The features of a graph in one arena."""

    lifetimes: tuple[Lifetime, ...]
    _layouts: dict[tuple[tuple[str, int], ...], Layout] = field(default_factory=dict)

    @classmethod
    def of(cls, checked: CheckedGraph) -> MemoryPlan:
        """Plan the values that kernels write; tables, and what dense regions give, have memory of their own."""
        uses = checked.last_uses()
        lifetimes = []
        for number, operation in enumerate(checked.operations):
            if DEFINITIONS[operation.op].is_planned:
                for value in operation.outputs.values():
                    lifetimes.append(Lifetime(value, checked.specs[value], number, max(uses[value], number)))
        return cls(tuple(lifetimes))

    def layout(self, counts: Mapping[str, int]) -> Layout:
        """Place every value.

        Args:
            counts: the sizes that have names.
        """
        rounded = tuple((name, rounded_up(count)) for name, count in sorted(counts.items()))
        if rounded not in self._layouts:
            while len(self._layouts) >= MOST_LAYOUTS:
                del self._layouts[next(iter(self._layouts))]
            self._layouts[rounded] = self._place(dict(rounded))
        return self._layouts[rounded]

    def _place(self, counts: Mapping[str, int]) -> Layout:
        """Place the largest first, each at the lowest offset that is free as long as it is needed."""
        sizes = {one.value: -(-one.spec.bytes(counts) // ALIGNMENT) * ALIGNMENT for one in self.lifetimes}
        placed: list[tuple[int, Lifetime]] = []
        for lifetime in sorted(self.lifetimes, key=lambda one: (-sizes[one.value], one.begin)):
            offset = 0
            for other_offset, other in sorted(
                ((at, one) for at, one in placed if one.overlaps(lifetime)), key=lambda pair: pair[0]
            ):
                if other_offset - offset >= sizes[lifetime.value]:
                    break
                offset = max(offset, other_offset + sizes[other.value])
            placed.append((offset, lifetime))
        total = max((offset + sizes[one.value] for offset, one in placed), default=0)
        return Layout({one.value: offset for offset, one in placed}, total)


def rounded_up(count: int) -> int:
    """Round up by at most a sixteenth, so that frames of nearly the same size share a layout."""
    step = 1 << max(count.bit_length() - 5, 0)
    return -(-count // step) * step

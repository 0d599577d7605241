"""What an SPVNAS network looks like, layer by layer, without any framework: widths, depths, tensors and arithmetic.

Searching, slicing a supernet's weights and counting multiplications happen on robots that have no PyTorch, so that
this description is plain data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pydantic

from perception.configuration import Settings

Width = Annotated[int, pydantic.Field(ge=1)]
#: Rows or columns of a tensor that a layer uses: from, to (exclusive).
Range = tuple[int, int]
LayerKind = Literal["submanifold", "down", "up", "pointwise", "linear"]

STEPS = 4
KERNEL_VOLUMES: dict[LayerKind, int] = {"submanifold": 27, "down": 8, "up": 8, "pointwise": 1, "linear": 1}


class StageWidths(Settings):
    """One step down or up: a strided or transposed convolution, then residual blocks.

    Attributes:
        transition: output channels of the strided or transposed convolution.
        hidden: channels between the two convolutions of each residual block; as many as there are blocks.
        out: output channels of every block.
    """

    transition: Width
    hidden: tuple[Width, ...] = pydantic.Field(min_length=1)
    out: Width


class UniformWidths(Settings):
    """One width a step and the same depth in all."""

    stem: Width
    down: tuple[Width, Width, Width, Width]
    up: tuple[Width, Width, Width, Width]
    depth: Width


class SpvnasArchitecture(Settings):
    """Widths and depths of an SPVNAS network (Tang et al., ECCV 2020, section 4).

    Attributes:
        stem: channels of the two first convolutions.
        down: steps from level 1 to level 16.
        up: steps from level 16 to level 1.
        classifier: columns of the classifier. A specialised network keeps those of its supernet and uses the first.
    """

    stem: Width
    down: tuple[StageWidths, StageWidths, StageWidths, StageWidths]
    up: tuple[StageWidths, StageWidths, StageWidths, StageWidths]
    classifier: Width

    @pydantic.model_validator(mode="before")
    @classmethod
    def _written_as_uniform(cls, values: Any) -> Any:
        """Files may say ``{stem: 16, down: [16, 32, 64, 128], up: [128, 64, 48, 48], depth: 2}``, see `uniform`."""
        if not isinstance(values, dict) or "depth" not in values:
            return values
        UniformWidths.model_validate(values)
        return cls.uniform(**values).model_dump()

    @pydantic.model_validator(mode="after")
    def _classifier_is_wide_enough(self) -> SpvnasArchitecture:
        if self.classifier < self.up[-1].out:
            raise ValueError(f"classifier has {self.classifier} columns for {self.up[-1].out} channels")
        return self

    @property
    def point_widths(self) -> tuple[int, int, int]:
        """Output channels of the three point transforms, which meet levels 16, 4 and 1."""
        return self.down[3].out, self.up[1].out, self.up[3].out

    @property
    def skips(self) -> tuple[int, ...]:
        """Channels that each step up gets from the step down that it mirrors."""
        return self.down[2].out, self.down[1].out, self.down[0].out, self.stem

    @classmethod
    def uniform(cls, stem: int, down: tuple[int, ...], up: tuple[int, ...], depth: int = 2) -> SpvnasArchitecture:
        """Widths as in a supernet's largest network: one a step, `depth` residual blocks in each."""
        stages_down = [
            StageWidths(transition=before, hidden=(out,) * depth, out=out)
            for before, out in zip((stem, *down), down, strict=False)
        ]
        stages_up = [StageWidths(transition=out, hidden=(out,) * depth, out=out) for out in up]
        return cls.model_validate({"stem": stem, "down": stages_down, "up": stages_up, "classifier": up[-1]})


@dataclass(frozen=True)
class Layer:
    """A convolution or linear layer with the batch norm after it, if any.

    Attributes:
        weight: name of its weights: [volume, in, out], [in, out] where pointwise, [out, in] where linear.
        norm: prefix of the names of its batch norm's tensors, or None.
        bias: name of its bias, or None.
        kind: what it does; submanifold stays on its level, down and up change it.
        stride: the level of its output; of its input where it goes up.
        inputs: the input channels that it uses, as ranges of the supernet's.
        out: output channels.
    """

    weight: str
    norm: str | None
    bias: str | None
    kind: LayerKind
    stride: int
    inputs: tuple[Range, ...]
    out: int

    @property
    def in_channels(self) -> int:
        """How many input channels it uses."""
        return sum(end - start for start, end in self.inputs)

    def weight_ranges(self) -> tuple[tuple[Range, ...], ...]:
        """Which part of the supernet's weights it uses, as ranges of each axis."""
        out: tuple[Range, ...] = ((0, self.out),)
        if self.kind == "linear":
            return out, self.inputs
        if self.kind == "pointwise":
            return self.inputs, out
        return ((0, KERNEL_VOLUMES[self.kind]),), self.inputs, out


def layers_of(
    architecture: SpvnasArchitecture,
    classes: int,
    input_channels: int = 4,
    supernet: SpvnasArchitecture | None = None,
) -> Iterator[Layer]:
    """List the layers in the order in which data passes through them.

    Args:
        architecture: the network.
        classes: how many.
        input_channels: features of each voxel.
        supernet: the largest network, where the network is a part of it. The rows of a concatenated skip then begin
            after all of the supernet's upsampled channels.
    """
    supernet = supernet or architecture
    stem = architecture.stem
    yield _convolution("stem.0", "stem.1", "submanifold", 1, ((0, input_channels),), stem)
    yield _convolution("stem.3", "stem.4", "submanifold", 1, ((0, stem),), stem)
    width = stem
    for step, stage in enumerate(architecture.down):
        yield from _stage(f"downsample.{step}", "down", 2 << step, width, stage, ((0, stage.transition),))
        width = stage.out
    yield _transform(0, stem, architecture.point_widths[0])
    for step, (stage, skip) in enumerate(zip(architecture.up, architecture.skips, strict=True)):
        offset = supernet.up[step].transition
        concatenated = ((0, stage.transition), (offset, offset + skip))
        yield from _stage(f"upsample.{step}", "up", 8 >> step, width, stage, concatenated)
        width = stage.out
        if step in (1, 3):
            number = (step + 1) // 2
            yield _transform(number, architecture.point_widths[number - 1], architecture.point_widths[number])
    name = "classifier.linear"
    yield Layer(f"{name}.weight", None, f"{name}.bias", "linear", 1, ((0, architecture.classifier),), classes)


def multiplications(layers: Iterator[Layer], rows: Mapping[int, int], neighbours: Mapping[int, int]) -> int:
    """Multiply-accumulate operations of a network on one frame.

    Args:
        layers: of the network.
        rows: voxels of each level, by stride.
        neighbours: pairs of neighbouring voxels of each level (entries of its 3x3x3 table that exist), by stride.
    """
    total = 0
    for layer in layers:
        # Every fine voxel takes part once in a step down or up.
        pairs = {"submanifold": neighbours[layer.stride], "down": rows[max(1, layer.stride // 2)]}
        total += pairs.get(layer.kind, rows[layer.stride]) * layer.in_channels * layer.out
    return total


def _stage(
    name: str, kind: LayerKind, stride: int, width: int, stage: StageWidths, inputs: tuple[Range, ...]
) -> Iterator[Layer]:
    prefix = f"{name}.transition.net"
    yield _convolution(f"{prefix}.conv", f"{prefix}.bn", kind, stride, ((0, width),), stage.transition)
    for number, hidden in enumerate(stage.hidden):
        block = f"{name}.feature.{number}"
        for part, entering, out in ((0, inputs, hidden), (1, ((0, hidden),), stage.out)):
            prefix = f"{block}.net.{part}.net"
            yield _convolution(f"{prefix}.conv", f"{prefix}.bn", "submanifold", stride, entering, out)
        if number == 0:
            prefix = f"{block}.downsample.net"
            yield _convolution(f"{prefix}.conv", f"{prefix}.bn", "pointwise", stride, inputs, stage.out)
        inputs = ((0, stage.out),)


def _convolution(name: str, norm: str, kind: LayerKind, stride: int, inputs: tuple[Range, ...], out: int) -> Layer:
    return Layer(f"{name}.kernel", norm, None, kind, stride, inputs, out)


def _transform(number: int, in_channels: int, out: int) -> Layer:
    name = f"point_transforms.{number}.net"
    return Layer(f"{name}.conv.weight", f"{name}.bn", f"{name}.conv.bias", "linear", 1, ((0, in_channels),), out)

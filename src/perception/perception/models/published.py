"""What a published checkpoint is: its network's widths, depths and classes, read off the names and shapes.

The official SPVNAS release has three forms: MinkUNet and SPVCNN, whose names are alike; a specialised SPVNAS network;
and the super-network, whose elastic layers have longer names and hold every specialised network. Of the official
FlatFormer see `perception.models.published_flatformer`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

import torch
from torch import Tensor, nn

from perception.bundle.architecture import SpvnasArchitecture, StageWidths
from perception.bundle.detection import FlatFormerSettings
from perception.bundle.format import MinkunetSettings, NetworkSettings, SpvcnnSettings, SpvnasSettings
from perception.models.build import build_detector, build_network
from perception.models.checkpoints import Mismatch, compare
from perception.models.published_flatformer import HEATMAP, infer_flatformer
from perception.models.published_flatformer import OFFICIAL_CLASSES as FLATFORMER_CLASSES
from perception.models.spvcnn import OFFICIAL_CHANNELS

#: The super-network of the official release.
OFFICIAL_SUPERNET = SpvnasArchitecture.uniform(32, (48, 96, 192, 384), (384, 192, 128, 128))
OFFICIAL_CLASSES = 19
OFFICIAL_FEATURES = 4
FIRST_KERNEL = "stem.0.kernel"
CLASSIFIERS = ("classifier.0.weight", "classifier.linear.weight")
#: A layer of MinkUNet and SPVCNN whose output channels are each of the official ones.
CHANNEL_KERNELS = (
    FIRST_KERNEL,
    *(f"stage{step}.2.net.3.kernel" for step in range(1, 5)),
    *(f"up{step}.1.1.net.3.kernel" for step in range(1, 5)),
)
#: What elastic layers put into names, and what specialised ones have there instead.
ELASTIC_NAMES = ((r"\.layers\.(\d+)", r".\1"), (r"\.bn\.bn\.", ".bn."), (r"\.conv\.linear\.", ".conv."))

Tensors = Mapping[str, Tensor]
Shapes = Mapping[str, tuple[int, ...]]
PublishedSettings = NetworkSettings | FlatFormerSettings


@dataclass(frozen=True)
class Published:
    """A checkpoint as a network of ours.

    Attributes:
        settings: the network that it most likely is.
        classes: how many.
        tensors: the weights, under our names.
        mismatch: how these differ from the network's.
    """

    settings: PublishedSettings
    classes: int
    tensors: dict[str, Tensor]
    mismatch: Mismatch


def recognise(tensors: Tensors, model: str, width: float | None = None) -> Published:
    """Find the network of a kind that fits the tensors best; `mismatch` says how well.

    Args:
        tensors: a checkpoint's, by their names there.
        model: a key of `MODELS`.
        width: of the network, where it has one; else inferred.
    """
    renamed = specialised_names(tensors)
    shapes = {name: tuple(tensor.shape) for name, tensor in renamed.items()}
    settings, classes = MODELS[model](shapes, width), count_classes(shapes, model)
    with torch.device("meta"):
        expected = build_published(settings, max(1, classes)).state_dict()
    return Published(settings, classes, renamed, compare(expected, renamed))


def count_classes(shapes: Shapes, model: str) -> int:
    """How many classes a checkpoint tells apart; the official number where the layer that says it is missing."""
    if model == "flatformer":
        return shapes[HEATMAP][0] if _axes(shapes, HEATMAP) == 1 else FLATFORMER_CLASSES
    return next((shapes[name][0] for name in CLASSIFIERS if _axes(shapes, name) == 2), OFFICIAL_CLASSES)


def build_published(settings: PublishedSettings, classes: int) -> nn.Module:
    """Build a network with fresh weights."""
    if isinstance(settings, FlatFormerSettings):
        return build_detector(settings, classes)
    return build_network(settings, classes)


def advise(tensors: Tensors, published: Published) -> str:
    """Say what to try with a checkpoint that does not fit."""
    asked = published.settings.model
    fits = [recognise(tensors, model) for model in MODELS]
    best = min(fits, key=lambda fit: (len(fit.mismatch), fit.settings.model != asked))
    width = f" --width {best.settings.width:g}" if hasattr(best.settings, "width") else ""
    if not best.mismatch:
        return f"try --model {best.settings.model}{width}, which fits"
    strange = len(best.mismatch.unexpected) + len(best.mismatch.reshaped)
    if len(best.mismatch) < len(published.mismatch) / 2 and strange < len(tensors) / 2:
        return f"--model {best.settings.model}{width} is nearer, but {len(best.mismatch)} tensors do not fit it either"
    if not published.mismatch.missing and not published.mismatch.unexpected:
        return (
            "its names are right, so that the network was altered before it was trained: train one of ours, or mend it"
        )
    return f"it comes from another project or version; known are {', '.join(MODELS)} of the official releases"


def specialised_name(name: str) -> str:
    """The name in a specialised checkpoint of a tensor of the super-network."""
    for pattern, replacement in ELASTIC_NAMES:
        name = re.sub(pattern, replacement, name)
    return name


def specialised_names(tensors: Tensors) -> dict[str, Tensor]:
    """Rename what elastic layers hold; names that would fall together stay as they are."""
    renamed: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        short = specialised_name(name)
        taken = short in renamed or (short != name and short in tensors)
        renamed[name if taken else short] = tensor
    return renamed


def infer_width(shapes: Shapes) -> float:
    """The shortest decimal fraction that scales the official channels to those found; 1 where none are."""
    found = [(shapes[name][-1], full) for name, full in zip(CHANNEL_KERNELS, OFFICIAL_CHANNELS, strict=True)
             if _axes(shapes, name) == 3]  # fmt: skip
    # int(width * full) = channels
    lowest = max((Fraction(channels, full) for channels, full in found), default=Fraction(1))
    beyond = min((Fraction(channels + 1, full) for channels, full in found), default=Fraction(2))
    for digits in range(6):
        width = Fraction(ceil(lowest * 10**digits), 10**digits)
        if 0 < width < beyond:
            return float(width)
    return float(lowest) or 1.0


def infer_architecture(shapes: Shapes) -> SpvnasArchitecture:
    """Widths and depths of a specialised network; those of the official super-network where a layer is missing."""
    official = OFFICIAL_SUPERNET
    down = [_infer_stage(shapes, f"downsample.{step}", stage) for step, stage in enumerate(official.down)]
    up = [_infer_stage(shapes, f"upsample.{step}", stage) for step, stage in enumerate(official.up)]
    columns = _width(shapes, "classifier.linear.weight", official.classifier)
    stem = _width(shapes, FIRST_KERNEL, official.stem)
    classifier = max(columns, up[-1].out)
    return SpvnasArchitecture.model_validate({"stem": stem, "down": down, "up": up, "classifier": classifier})


def _infer_stage(shapes: Shapes, name: str, official: StageWidths) -> StageWidths:
    kernels: list[str] = []
    while (kernel := f"{name}.feature.{len(kernels)}.net.0.net.conv.kernel") in shapes:
        kernels.append(kernel)
    return StageWidths(
        transition=_width(shapes, f"{name}.transition.net.conv.kernel", official.transition),
        hidden=tuple(_width(shapes, kernel, official.out) for kernel in kernels) or official.hidden,
        out=_width(shapes, f"{name}.feature.0.net.1.net.conv.kernel", official.out),
    )


def _width(shapes: Shapes, name: str, otherwise: int) -> int:
    """The last axis of a matrix or kernel."""
    return max(1, shapes[name][-1]) if _axes(shapes, name) > 1 else otherwise


def _axes(shapes: Shapes, name: str) -> int:
    return len(shapes[name]) if name in shapes else 0


def _features(shapes: Shapes) -> int:
    return max(1, shapes[FIRST_KERNEL][1] if _axes(shapes, FIRST_KERNEL) == 3 else OFFICIAL_FEATURES)


#: How to describe the network of each kind that fits the shapes best, given its width or None.
MODELS: dict[str, Callable[[Shapes, float | None], PublishedSettings]] = {
    "minkunet": lambda shapes, width: MinkunetSettings(
        width=width or infer_width(shapes), input_channels=_features(shapes)
    ),
    "spvcnn": lambda shapes, width: SpvcnnSettings(
        width=width or infer_width(shapes), input_channels=_features(shapes)
    ),
    "spvnas": lambda shapes, _: SpvnasSettings(
        architecture=infer_architecture(shapes), input_channels=_features(shapes)
    ),
    "flatformer": lambda shapes, _: infer_flatformer(shapes),
}

"""The self-check of a bundle: a small cloud that it carries, with the labels that its network must give.

It finds what a checksum cannot: kernels, an engine or a device that compute something else than where the bundle was
exported.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perception.bundle.files import BundleFiles
from perception.bundle.format import DESCRIPTION_FILE
from perception.bundle.tensor_file import parse_tensors
from perception.configuration import ConfigurationError
from perception.runtime.engine import Engine
from perception.types import Frame, PointCloud

SELF_CHECK_FILE = "self_check.safetensors"
#: Half precision moves the labels of points that lie between two classes.
MIN_AGREEMENT = 0.99
MOST_BYTES = 64 << 20
#: Tensor -> type, and sizes after the number of points.
TENSORS: dict[str, tuple[type, tuple[int, ...]]] = {
    "points": (np.float32, (4,)),
    "class_ids": (np.uint8, ()),
    "probabilities": (np.float32, ()),
}


@dataclass(frozen=True)
class SelfCheck:
    """What a self-check found.

    Attributes:
        points: of its cloud.
        agreement: share of the points with the label that they must have, 0..1.
        largest_difference: between a point's probability and what it must be.
    """

    points: int
    agreement: float
    largest_difference: float


def run_self_check(engine: Engine, folder: Path) -> SelfCheck | None:
    """Label the cloud of a bundle's self-check, and compare.

    Args:
        engine: the bundle's network.
        folder: the bundle.

    Returns:
        How well it agrees; None where the bundle has no self-check.

    Raises:
        ConfigurationError: the labels or probabilities are not what they must be, or the file is damaged.
    """
    checksum = engine.description.files.get(SELF_CHECK_FILE)
    if checksum is None:
        return None
    wanted = _parse(BundleFiles(folder, DESCRIPTION_FILE).read(SELF_CHECK_FILE, MOST_BYTES, checksum), folder)
    try:
        found = engine.forward(Frame(PointCloud(wanted["points"])))
    except ValueError as error:
        raise ConfigurationError(f"{folder}: cannot label the cloud of its self-check ({error})") from None
    if not np.isfinite(found.probabilities).all():
        raise ConfigurationError(f"{folder}: fails its self-check on this device: probabilities are NaN or infinite")
    result = SelfCheck(
        points=len(found),
        agreement=float(np.mean(found.class_ids == wanted["class_ids"])),
        largest_difference=float(np.abs(found.probabilities - wanted["probabilities"]).max()),
    )
    if result.agreement < MIN_AGREEMENT:
        raise ConfigurationError(
            f"{folder}: fails its self-check on this device: {100 * result.agreement:.2f} % of the labels agree "
            f"(at least {100 * MIN_AGREEMENT:.0f} % must), "
            f"and probabilities differ by up to {result.largest_difference:.2g}"
        )
    return result


def _parse(content: bytes, folder: Path) -> dict[str, NDArray[Any]]:
    file = folder / SELF_CHECK_FILE
    tensors = parse_tensors(content, file)
    count = len(tensors.get("points", ()))
    for name, (dtype, sizes) in TENSORS.items():
        tensor = tensors.get(name)
        if tensor is None or tensor.dtype != dtype or tensor.shape != (count, *sizes):
            shape = ", ".join(map(str, ("N", *sizes)))
            raise ConfigurationError(f"{file}: '{name}' is not {dtype.__name__} [{shape}]; export the bundle again")
    if not np.isfinite(tensors["points"]).all():
        raise ConfigurationError(f"{file}: 'points' holds NaN or infinite values; export the bundle again")
    return tensors

"""Colours of labelled points, packed as RViz reads them (0x00RRGGBB)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from perception.bundle.format import CommonDescription
from perception.classes import IGNORED
from perception.types import LabelledCloud

#: Points without a class.
UNLABELLED_RGB = (90, 90, 90)

#: Okabe and Ito, "Color Universal Design", 2008; lighter and darker again for further classes.
OKABE_ITO = np.array(
    [(230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167)],
    np.uint8,
)


def packed(rgb: ArrayLike) -> NDArray[np.uint32]:
    """Pack uint8 [N, 3] colours into uint32 [N]."""
    channels = np.asarray(rgb, np.uint32).reshape(-1, 3)
    return (channels[:, 0] << 16 | channels[:, 1] << 8 | channels[:, 2]).astype(np.uint32)


def class_palette(palette: str, bundle_colors: ArrayLike) -> NDArray[np.uint32]:
    """One packed colour a class id, uint32 [256]; `palette` is "bundle" or "color_blind"."""
    colors = np.asarray(bundle_colors, np.uint8).reshape(-1, 3)
    if palette == "color_blind":
        shades = np.concatenate([OKABE_ITO, OKABE_ITO // 2, 127 + OKABE_ITO // 2])
        colors = shades[np.arange(len(colors)) % len(shades)]
    table = np.full(256, packed(UNLABELLED_RGB)[0], np.uint32)
    table[: len(colors)] = packed(colors)
    return table


def class_colors(palette: str, bundle: CommonDescription) -> dict[str, tuple[int, int, int]]:
    """RGB 0..255 of each class's name; `palette` as of `class_palette`."""
    table = class_palette(palette, bundle.colors)[: len(bundle.classes)].tolist()
    return {
        name: (color >> 16, color >> 8 & 255, color & 255) for name, color in zip(bundle.classes, table, strict=True)
    }


def probability_palette() -> NDArray[np.uint32]:
    """256 packed colours from dark red (0) over yellow to white (1)."""
    level = np.arange(256)
    rgb = np.stack(
        [np.clip(96 + 3 * level, 0, 255), np.clip(2 * level - 96, 0, 255), np.clip(4 * level - 765, 0, 255)], 1
    )
    return packed(rgb)


def colors_of(result: LabelledCloud, palette: str, bundle_colors: ArrayLike) -> NDArray[np.uint32]:
    """The packed colour of each point, uint32 [N]."""
    if palette != "probability":
        return class_palette(palette, bundle_colors)[result.class_ids]
    by_probability = probability_palette()[(result.probabilities * 255).astype(np.uint8)]
    unlabelled = packed(UNLABELLED_RGB)[0]
    return np.where(result.class_ids == IGNORED, unlabelled, by_probability).astype(np.uint32)

"""Colours of labelled points."""

from __future__ import annotations

import numpy as np
import pytest

from perception.classes import IGNORED
from perception.nodes.palettes import colors_of, packed
from perception.types import LabelledCloud

BUNDLE_COLORS = [(255, 0, 1), (0, 128, 255)]
RESULT = LabelledCloud(np.array([0, 1, IGNORED], np.uint8), np.array([1.0, 0.0, 0.0], np.float32))
GREY = packed((90, 90, 90))[0]


def test_the_bundle_s_colours():
    assert colors_of(RESULT, "bundle", BUNDLE_COLORS).tolist() == [0xFF0001, 0x0080FF, GREY]


def test_color_blind_palette_tells_twenty_classes_apart():
    result = LabelledCloud(np.arange(20, dtype=np.uint8), np.ones(20, np.float32))

    assert len(set(colors_of(result, "color_blind", [(0, 0, 0)] * 20).tolist())) == 20


def test_probability_goes_from_dark_red_to_white():
    assert colors_of(RESULT, "probability", BUNDLE_COLORS).tolist() == [0xFFFFFF, 0x600000, GREY]


@pytest.mark.parametrize("palette", ["bundle", "color_blind", "probability"])
def test_every_palette_gives_one_packed_colour_a_point(palette):
    colors = colors_of(RESULT, palette, BUNDLE_COLORS)

    assert colors.dtype == np.uint32
    assert colors.shape == (3,)
    assert (colors <= 0xFFFFFF).all()

from __future__ import annotations

import numpy as np
import pytest

from perception.data.boxes import sound
from perception.nodes.box_filter import BoxFilter
from perception.types import Boxes3D


def boxes(**changes) -> Boxes3D:
    values = {
        "centers": np.array([[3, 4, 0], [30, 40, 9], [-6, 8, 0]], np.float32),
        "sizes": np.ones((3, 3), np.float32),
        "yaws": np.zeros(3, np.float32),
        "class_names": ("car", "car", "person"),
        "scores": np.array([0.5, 0.25, 0.375], np.float32),
        "velocities": np.full((3, 2), np.nan, np.float32),
    }
    return Boxes3D(**{**values, **changes})


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ({}, [0.5, 0.25, 0.375]),
        ({"min_score": 0.375}, [0.5, 0.375]),
        ({"min_score": 0.5, "class_min_scores": {"person": 0.1}}, [0.5, 0.375]),
        ({"class_min_scores": {"car": 1.0}}, [0.375]),
        ({"classes": ("car",)}, [0.5, 0.25]),
        ({"classes": ("tram",)}, []),
        ({"max_range_m": 10.0}, [0.5, 0.375]),
        ({"max_range_m": 9.9}, [0.5]),
        ({"classes": ("car",), "max_range_m": 10.0, "min_score": 0.6}, []),
    ],
)
def test_what_passes(settings, kept):
    assert BoxFilter(**settings).apply(boxes()).scores.tolist() == kept


def test_names_stay_with_their_boxes():
    assert BoxFilter(max_range_m=10.0).apply(boxes()).class_names == ("car", "person")


def test_no_boxes_pass_as_none():
    none = BoxFilter(classes=("tram",)).apply(boxes())
    assert len(BoxFilter(classes=("car",), max_range_m=5.0, min_score=0.5).apply(none)) == 0


def changed(name: str, row: int, value: float) -> Boxes3D:
    column = getattr(boxes(), name).copy()
    column.reshape(3, -1)[row, -1] = value
    return boxes(**{name: column})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("centers", np.nan),
        ("centers", np.inf),
        ("sizes", 0.0),
        ("sizes", -1.0),
        ("sizes", np.inf),
        ("yaws", np.nan),
        ("scores", 1.5),
        ("scores", -0.1),
        ("scores", np.nan),
    ],
)
def test_what_no_object_has(name, value):
    assert sound(changed(name, 1, value)).tolist() == [True, False, True]


def test_a_velocity_may_be_unknown():
    assert sound(boxes()).all()

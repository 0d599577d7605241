"""A labelled scan beside its truth."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from perception.classes import IGNORED
from perception.evaluation.report.panels import LabelledScan, compose_sheet, draw_panels
from perception.evaluation.report.writing import data_uri

CLASSES = ("road", "car", "tree", "train")
COLORS = ((255, 0, 255), (100, 150, 245), (0, 175, 0), (1, 2, 3))


@pytest.fixture(scope="module")
def scan():
    random = np.random.default_rng(7)
    truth = random.integers(0, 3, 3000).astype(np.uint8)
    predicted = truth.copy()
    truth[:10] = IGNORED
    predicted[100:400] = 1
    points = random.uniform(-20, 20, (3000, 4)).astype(np.float32)
    palette = np.array(COLORS, np.uint8)
    return LabelledScan("drive <1>, frame 2", points, truth, predicted, CLASSES, palette)


def test_pictures_survive_as_data_uris():
    picture = np.random.default_rng(0).integers(0, 255, (9, 7, 3)).astype(np.uint8)
    decoded = Image.open(io.BytesIO(base64.b64decode(data_uri(picture).split(",")[1])))
    np.testing.assert_array_equal(np.asarray(decoded), picture)


def test_panels_say_how_many_points_are_wrong(scan):
    wrong = ((scan.truth != scan.predicted) & (scan.truth != 255)).sum() / (scan.truth != 255).sum()
    assert [panel.caption for panel in draw_panels(scan)] == [
        "Truth",
        "Predicted",
        f"Errors: {100 * wrong:.1f} % of points",
    ]


def test_the_legend_names_what_occurs(scan):
    assert [name for name, _ in scan.legend()] == ["road", "car", "tree", "not labelled"]


def test_the_sheet_holds_every_panel(scan):
    panels = draw_panels(scan)
    sheet = compose_sheet(scan, panels)
    assert sheet.width > 3 * panels[0].birds_eye.shape[1]
    assert sheet.height > panels[0].birds_eye.shape[0] + 3 * 100

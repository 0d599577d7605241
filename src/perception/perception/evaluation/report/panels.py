"""A labelled frame beside its truth: the panels of the report, and one sheet that stands alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from perception.classes import IGNORED
from perception.evaluation.report.pictures import (
    BACKGROUND,
    UNLABELLED,
    WRONG,
    BirdsEyeArea,
    Picture,
    RangeViewArea,
    birds_eye_view,
    class_colors,
    error_colors,
    range_view,
)

TEXT = (230, 237, 243)
FAINT_TEXT = (139, 148, 158)
MARGIN = 24


@dataclass(frozen=True)
class LabelledScan:
    """A cloud with the labels it was given, and its true ones where they are known.

    Attributes:
        title: one line that says where it comes from.
        points: float32 [N, >=3] in metres, x forward, y left, z up, relative to the sensor.
        truth: uint8 [N] class ids, IGNORED where a point has none, or None.
        predicted: uint8 [N] class ids.
        classes: the name of each class id.
        palette: uint8 [C, 3], RGB of each class id.
    """

    title: str
    points: NDArray[np.float32]
    truth: NDArray[np.uint8] | None
    predicted: NDArray[np.uint8]
    classes: tuple[str, ...]
    palette: NDArray[np.uint8]

    def legend(self) -> list[tuple[str, tuple[int, int, int]]]:
        """Name and colour of every class that occurs in the truth or the prediction."""
        ids = np.unique(self.predicted if self.truth is None else np.concatenate([self.truth, self.predicted]))
        entries = [(self.classes[index], tuple(self.palette[index].tolist())) for index in ids if index != IGNORED]
        return entries + ([("not labelled", UNLABELLED)] if IGNORED in ids else [])


@dataclass(frozen=True)
class Panel:
    """One way of colouring a scan, seen from above and from the sensor."""

    caption: str
    birds_eye: Picture
    range_view: Picture


def draw_panels(
    scan: LabelledScan, ground: BirdsEyeArea | None = None, directions: RangeViewArea | None = None
) -> list[Panel]:
    """Draw truth, prediction and errors of a scan; only the prediction where there is no truth."""
    colorings = [("Predicted", class_colors(scan.predicted, scan.palette), None)]
    if scan.truth is not None:
        wrong = (scan.truth != IGNORED) & (scan.truth != scan.predicted)
        judged = max(1, int((scan.truth != IGNORED).sum()))
        caption = f"Errors: {100 * wrong.sum() / judged:.1f} % of points"
        colorings.insert(0, ("Truth", class_colors(scan.truth, scan.palette), None))
        colorings.append((caption, error_colors(scan.truth, scan.predicted), wrong))
    return [
        Panel(
            caption,
            birds_eye_view(scan.points, colors, ground, on_top),
            range_view(scan.points, colors, directions),
        )
        for caption, colors, on_top in colorings
    ]


def compose_sheet(scan: LabelledScan, panels: list[Panel] | None = None) -> Image.Image:
    """Lay a scan's panels out with captions and a legend: bird's-eye pictures side by side, range views below."""
    panels = panels or draw_panels(scan)
    height, width = panels[0].birds_eye.shape[:2]
    inner_width = len(panels) * width + (len(panels) - 1) * MARGIN
    range_height = round(panels[0].range_view.shape[0] * inner_width / panels[0].range_view.shape[1])
    rows_top = 2 * MARGIN + 84 + height
    legend_top = rows_top + len(panels) * (range_height + 40)
    legend = _lay_out_legend(scan, inner_width, legend_top + 8)
    sheet = Image.new("RGB", (inner_width + 2 * MARGIN, legend[-1][1] + 30 + MARGIN), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    draw.text((MARGIN, MARGIN), scan.title, font=ImageFont.load_default(26), fill=TEXT)
    for index, panel in enumerate(panels):
        left = MARGIN + index * (width + MARGIN)
        draw.text((left, MARGIN + 46), panel.caption, font=ImageFont.load_default(20), fill=FAINT_TEXT)
        sheet.paste(Image.fromarray(panel.birds_eye), (left, MARGIN + 78))
        top = rows_top + index * (range_height + 40)
        draw.text((MARGIN, top), panel.caption, font=ImageFont.load_default(20), fill=FAINT_TEXT)
        strip = Image.fromarray(panel.range_view).resize((inner_width, range_height), Image.Resampling.LANCZOS)
        sheet.paste(strip, (MARGIN, top + 30))
    for left, top, name, color in legend:
        draw.rounded_rectangle((left, top + 4, left + 18, top + 22), 4, fill=color)
        draw.text((left + 26, top), name, font=ImageFont.load_default(20), fill=TEXT)
    return sheet


def _lay_out_legend(scan: LabelledScan, width: int, top: int) -> list[tuple[int, int, str, tuple[int, int, int]]]:
    """Left, top, name and colour of each legend entry, wrapped at `width`."""
    font = ImageFont.load_default(20)
    placed = []
    left = MARGIN
    entries = scan.legend() + ([("wrong", WRONG)] if scan.truth is not None else [])
    for name, color in entries:
        entry_width = 26 + int(font.getlength(name)) + 28
        if left + entry_width > MARGIN + width:
            left, top = MARGIN, top + 32
        placed.append((left, top, name, color))
        left += entry_width
    return placed

"""Pictures of detections: boxes over their cloud, from above, with the true ones where they are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from perception.evaluation.report.panels import FAINT_TEXT, MARGIN, TEXT
from perception.evaluation.report.pictures import BACKGROUND, BirdsEyeArea, Picture, birds_eye_view
from perception.types import Boxes3D

Color = tuple[int, int, int]
TRUTH_COLOR: Color = (255, 255, 255)
#: Of a class that a palette does not name.
OTHER_COLOR: Color = (200, 200, 200)
#: Points from the darkest, on the ground, to the brightest, this much above it.
DARK, BRIGHT, HIGH_M = 70, 170, 4.0
#: Boxes are drawn at twice the size and then reduced, so that slanted edges stay smooth.
OVERSAMPLING = 2
LINE_HEIGHT = 30
TITLE_SIZE = 22
#: Colours darker than this (luma, 0..255) are mixed with white: nuScenes' blue pedestrians vanish on a dark ground.
LEAST_LUMA = 110.0


@dataclass(frozen=True)
class DetectedScan:
    """A cloud with the objects that were found in it.

    Attributes:
        title: one line that says where it comes from.
        points: float32 [N, >=3] in metres, x forward, y left, z up.
        found: boxes in the same frame.
        truth: the true ones, or None where they are not known.
        colors: RGB 0..255 by class name.
    """

    title: str
    points: NDArray[np.float32]
    found: Boxes3D
    truth: Boxes3D | None
    colors: Mapping[str, Color]


def detection_view(scan: DetectedScan, area: BirdsEyeArea | None = None) -> Picture:
    """Draw a scan from above: found boxes in their class's colour, true ones as thin white outlines below them.

    A line runs from the middle of each box to the middle of its front.

    Returns:
        uint8 [height, width, 3].
    """
    area = area or BirdsEyeArea()
    picture = Image.fromarray(birds_eye_view(scan.points, _grey_by_height(scan.points), area)).convert("RGBA")
    overlay = Image.new("RGBA", (OVERSAMPLING * picture.width, OVERSAMPLING * picture.height))
    draw = ImageDraw.Draw(overlay)
    if scan.truth is not None:
        _draw_boxes(draw, scan.truth, [TRUTH_COLOR] * len(scan.truth), area, width=2)
    colors = [readable(scan.colors.get(name, OTHER_COLOR)) for name in scan.found.class_names]
    _draw_boxes(draw, scan.found, colors, area, width=4)
    picture.alpha_composite(overlay.resize(picture.size, Image.Resampling.BOX))
    return np.asarray(picture.convert("RGB"))


def detection_sheet(
    scan: DetectedScan, area: BirdsEyeArea | None = None, picture: Picture | None = None
) -> Image.Image:
    """Put a title above the view from above, and below it what the colours mean and how many boxes there are.

    `picture`: the view, where it is already drawn.
    """
    view = Image.fromarray(detection_view(scan, area) if picture is None else picture)
    legend, title = _legend(scan), _wrapped(scan.title, view.width)
    title_height = len(title) * LINE_HEIGHT
    height = view.height + 3 * MARGIN + title_height + len(legend) * LINE_HEIGHT
    sheet = Image.new("RGB", (view.width + 2 * MARGIN, height), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for row, line in enumerate(title):
        draw.text((MARGIN, MARGIN // 2 + row * LINE_HEIGHT), line, font=ImageFont.load_default(TITLE_SIZE), fill=TEXT)
    sheet.paste(view, (MARGIN, MARGIN + title_height))
    top = view.height + 2 * MARGIN + title_height
    for row, (color, name, counts) in enumerate(legend):
        y = top + row * LINE_HEIGHT
        draw.rectangle((MARGIN, y + 4, MARGIN + 18, y + 22), outline=color, width=3)
        draw.text((MARGIN + 30, y), name, font=ImageFont.load_default(20), fill=TEXT)
        draw.text((MARGIN + 190, y), counts, font=ImageFont.load_default(20), fill=FAINT_TEXT)
    return sheet


def _wrapped(text: str, width: int) -> list[str]:
    """Break a title between words, so that no line is wider than so many pixels; a longer word stays whole."""
    font, lines = ImageFont.load_default(TITLE_SIZE), [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".lstrip()
        if lines[-1] and font.getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def readable(color: Color) -> Color:
    """Mix a colour with as much white as it needs to be seen on the dark ground; luma as in ITU-R BT.601."""
    luma = 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2]
    white = max(0.0, (LEAST_LUMA - luma) / (255 - luma))
    red, green, blue = (round(channel + white * (255 - channel)) for channel in color)
    return red, green, blue


def footprints(boxes: Boxes3D) -> NDArray[np.float32]:
    """Corners of boxes seen from above, counter-clockwise from the front left: float32 [M, 4, 2] in metres."""
    half = boxes.sizes[:, None, :2] / 2 * np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)], np.float32)
    cosine, sine = np.cos(boxes.yaws)[:, None], np.sin(boxes.yaws)[:, None]
    turned = np.stack([cosine * half[..., 0] - sine * half[..., 1], sine * half[..., 0] + cosine * half[..., 1]], -1)
    corners: NDArray[np.float32] = (turned + boxes.centers[:, None, :2]).astype(np.float32)
    return corners


def _draw_boxes(draw: ImageDraw.ImageDraw, boxes: Boxes3D, colors: list[Color], area: BirdsEyeArea, width: int) -> None:
    corners = _pixels(footprints(boxes), area)
    middles = _pixels(boxes.centers[:, None, :2], area)[:, 0]
    for outline, middle, color in zip(corners, middles, colors, strict=True):
        closed = [tuple(corner) for corner in outline[[0, 1, 2, 3, 0]].tolist()]
        draw.line(closed, fill=color, width=width, joint="curve")
        front = (outline[0] + outline[3]) / 2
        draw.line([tuple(middle.tolist()), tuple(front.tolist())], fill=color, width=width)


def _pixels(places_m: NDArray[np.floating], area: BirdsEyeArea) -> NDArray[np.float64]:
    """Column and row in the oversampled picture: x forward is up, y left is left."""
    scale = OVERSAMPLING * area.pixels_per_meter
    return np.stack([(area.side_m - places_m[..., 1]) * scale, (area.front_m - places_m[..., 0]) * scale], -1)


def _grey_by_height(points: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Brighter the higher above the ground, which is where a twentieth of the points is lower: uint8 [N, 3]."""
    ground_m = np.percentile(points[:, 2], 5) if len(points) else 0.0
    share = np.clip((points[:, 2] - ground_m) / HIGH_M, 0, 1)
    return np.repeat((DARK + share * (BRIGHT - DARK)).astype(np.uint8)[:, None], 3, axis=1)


def _legend(scan: DetectedScan) -> list[tuple[Color, str, str]]:
    """Colour, name and numbers of every class that occurs, and of the truth."""
    true_names = scan.truth.class_names if scan.truth is not None else ()
    rows = []
    for name in dict.fromkeys([*scan.colors, *scan.found.class_names]):
        found, true = scan.found.class_names.count(name), true_names.count(name)
        if found or true:
            counts = f"{found} found" + (f", {true} true" if scan.truth is not None else "")
            rows.append((readable(scan.colors.get(name, OTHER_COLOR)), name, counts))
    if scan.truth is not None:
        rows.append((TRUTH_COLOR, "truth", f"{len(scan.truth)} boxes"))
    return rows

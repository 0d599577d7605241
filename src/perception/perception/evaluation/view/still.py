"""One frame in Open3D: a window, or a picture drawn without a screen."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perception.classes import SEMANTIC_KITTI, object_colors
from perception.configuration import ConfigurationError
from perception.data.drive import DriveFrame
from perception.evaluation.report.detection_pictures import TRUTH_COLOR, readable
from perception.evaluation.report.pictures import BACKGROUND, class_colors
from perception.evaluation.view.colors import ColorScale
from perception.evaluation.view.layout import EYE_M, LOOK_AT_M
from perception.evaluation.view.outputs import require_screen
from perception.types import Boxes3D

WIDTH, HEIGHT = 1280, 800
FIELD_OF_VIEW_DEG, POINT_PIXELS, LINE_PIXELS = 60.0, 2.0, 2.0
UP = (0.0, 0.0, 1.0)
#: Backgrounds alone are given in linear light.
GAMMA = 2.2


def open_still(frame: DriveFrame, found: Boxes3D | None = None) -> None:
    """Show a frame in a window until it is closed: the cloud, true boxes in white, and found ones.

    Raises:
        ConfigurationError: no window can be opened.
    """
    require_screen("--picture FILE.png")
    import open3d as o3d

    window = o3d.visualization.Visualizer()
    if not window.create_window("perception view", WIDTH, HEIGHT):
        raise ConfigurationError("--open3d: no window can be opened here; draw a file with --picture FILE.png")
    for shape in _shapes(frame, found):
        window.add_geometry(shape)
    options, view = window.get_render_option(), window.get_view_control()
    options.background_color, options.point_size = np.array(BACKGROUND) / 255, POINT_PIXELS
    view.set_lookat(LOOK_AT_M)
    view.set_front(np.subtract(EYE_M, LOOK_AT_M))
    view.set_up(UP)
    view.set_zoom(0.15)
    window.run()
    window.destroy_window()


def draw_still(path: Path, frame: DriveFrame, found: Boxes3D | None = None) -> None:
    """Draw what `open_still` shows into a PNG file, without a screen.

    In a process of its own: where there is no Vulkan driver, Open3D ends the process that asked.

    Raises:
        ConfigurationError: Open3D cannot draw here.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    child = multiprocessing.get_context("spawn").Process(target=_draw, args=(path, frame, found))
    child.start()
    child.join()
    if child.exitcode:
        raise ConfigurationError(
            f"--picture {path}: Open3D cannot draw here; install a Vulkan driver (Debian: mesa-vulkan-drivers)"
        )


def _draw(path: Path, frame: DriveFrame, found: Boxes3D | None) -> None:
    # Open3D's renderer tells its own story on stdout and stderr.
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    import open3d as o3d

    rendering = o3d.visualization.rendering
    renderer = rendering.OffscreenRenderer(WIDTH, HEIGHT)
    # Without, the classes' colours are those of a photograph of them.
    renderer.scene.view.set_post_processing(False)
    renderer.scene.set_background([*(np.array(BACKGROUND) / 255) ** (1 / GAMMA), 1.0])
    for number, shape in enumerate(_shapes(frame, found)):
        material = rendering.MaterialRecord()
        material.point_size, material.line_width = POINT_PIXELS, LINE_PIXELS
        material.shader = "unlitLine" if isinstance(shape, o3d.geometry.LineSet) else "defaultUnlit"
        renderer.scene.add_geometry(str(number), shape, material)
    renderer.setup_camera(FIELD_OF_VIEW_DEG, LOOK_AT_M, EYE_M, UP)
    if not o3d.io.write_image(path, renderer.render_to_image()):
        raise OSError(f"{path} cannot be written")


def _shapes(frame: DriveFrame, found: Boxes3D | None) -> list[Any]:
    """Open3D's cloud, and a line set for each box."""
    import open3d as o3d

    points = frame.frame.cloud.points[:, :3].astype(np.float64)
    cloud = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(points))
    cloud.colors = o3d.utility.Vector3dVector(_colors(frame) / 255)
    shapes = [cloud]
    for boxes, is_truth in ((frame.objects, True), (found, False)):
        for row in range(0 if boxes is None else len(boxes)):
            assert boxes is not None
            color = TRUTH_COLOR if is_truth else readable(object_colors(boxes.class_names[row : row + 1])[0])
            shapes.append(_edges(boxes, row, color))
    return shapes


def _colors(frame: DriveFrame) -> NDArray[np.uint8]:
    if frame.class_ids is None:
        return ColorScale().colors(frame.frame.cloud.points[:, 2])
    return class_colors(frame.class_ids, SEMANTIC_KITTI.colors)


def _edges(boxes: Boxes3D, row: int, color: Sequence[int]) -> Any:
    import open3d as o3d

    turned = o3d.geometry.get_rotation_matrix_from_xyz((0.0, 0.0, float(boxes.yaws[row])))
    box = o3d.geometry.OrientedBoundingBox(boxes.centers[row].astype(float), turned, boxes.sizes[row].astype(float))
    box.color = np.array(color) / 255
    return o3d.geometry.LineSet.create_from_oriented_bounding_box(box)

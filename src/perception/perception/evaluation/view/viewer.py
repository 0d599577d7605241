"""What can be shown, in this project's words; rerun draws it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perception.classes import IGNORED
from perception.data.boxes import chosen
from perception.evaluation.criteria import DetectionCriteria
from perception.evaluation.report.pictures import UNLABELLED
from perception.evaluation.view.colors import ColorScale
from perception.evaluation.view.layout import TIME_LINE, Layout
from perception.evaluation.view.shapes import arrow_shapes, box_shapes
from perception.types import Boxes3D

#: As in the report's pictures.
SHOWN_SCORE = DetectionCriteria().shown_score
#: On the screen, whatever the distance.
POINT_PIXELS = 1.5
#: In the scene, from its camera.
IMAGE_DISTANCE_M = 2.0


class Viewer:
    """Shows one thing at a time, at the moment that `at` has said.

    Coordinates are in tf frames, as on the robot: every entity names its own, and `transform` relates them.

    Args:
        recording: an opened rerun.RecordingStream.
        fixed_frame: the frame that stands still, through which the first cloud is followed; empty: its own.
        max_points: clouds are thinned evenly to this many points; 0: never.
        min_score: boxes that score less are not shown.
    """

    def __init__(
        self, recording: Any, fixed_frame: str = "", max_points: int = 0, min_score: float = SHOWN_SCORE
    ) -> None:
        import rerun

        self._rerun, self._recording = rerun, recording
        self._layout = Layout(fixed_frame, follows=bool(fixed_frame))
        self._is_layout_new = False
        self._frame_ids: dict[str, str] = {}
        self._scales: dict[str, ColorScale] = {}
        self._classes: dict[str, Sequence[str]] = {}
        self._calibrations: dict[str, tuple[str, bytes, tuple[int, int]]] = {}
        self._max_points, self._min_score = max_points, min_score

    @property
    def fixed_frame(self) -> str:
        """The frame that stands still; empty until something was shown."""
        return self._layout.fixed_frame

    def at(self, stamp_ns: int) -> None:
        """Say when the following things were so."""
        self._send_layout()
        self._recording.set_time(TIME_LINE, timestamp=np.datetime64(int(stamp_ns), "ns"))

    def transform(self, parent: str, child: str, parent_from_child: NDArray[np.float64], static: bool = False) -> None:
        """Say where the frame `child` is in the frame `parent`, float64 [4, 4]."""
        if parent == child:
            return
        transform = self._rerun.Transform3D(
            translation=parent_from_child[:3, 3],
            mat3x3=parent_from_child[:3, :3],
            parent_frame=parent,
            child_frame=child,
        )
        self._recording.log(f"tf/{child}", transform, static=static)

    def cloud(self, entity: str, frame_id: str, points: NDArray[np.float32], values: NDArray[np.floating]) -> None:
        """Show points [N, >=3], coloured by values [N], such as heights."""
        self.colored(entity, frame_id, points, self._scales.setdefault(entity, ColorScale()).colors(values))

    def colored(
        self,
        entity: str,
        frame_id: str,
        points: NDArray[np.float32],
        colors: NDArray[np.uint8],
        is_labelling: bool = False,
    ) -> None:
        """Show points [N, >=3] in RGB colours [N, 3]; a labelling has a view of its own."""
        self._place(entity, frame_id, self._layout.labelled if is_labelling else self._layout.clouds)
        shown = self._thinned(points)
        self._points(entity, points[shown], colors=colors[shown])

    def labelled(
        self, entity: str, frame_id: str, points: NDArray[np.float32], class_ids: NDArray[np.unsignedinteger]
    ) -> None:
        """Show points [N, >=3] in the colours of their classes [N]; `classes` says which."""
        self._place(entity, frame_id, self._layout.labelled)
        shown = self._thinned(points)
        self._points(entity, points[shown], class_ids=class_ids[shown])

    def classes(self, entity: str, names: Sequence[str], colors: Sequence[Sequence[int]] | None = None) -> None:
        """Say what the class ids of a labelled cloud mean; without RGB `colors` the viewer chooses them."""
        if self._classes.get(entity) == names:
            return
        self._classes[entity] = names
        infos: list[Any] = [(index, name) for index, name in enumerate(names)]
        if colors is not None:
            infos = [(*info, tuple(color)) for info, color in zip(infos, colors, strict=True)]
        context = self._rerun.AnnotationContext([*infos, (IGNORED, "unlabelled", UNLABELLED)])
        self._recording.log(entity, context, static=True)

    def boxes(self, entity: str, frame_id: str, boxes: Boxes3D, is_truth: bool = False) -> None:
        """Show boxes: true ones as white edges, others in their classes' colours with class and score."""
        self._place(entity, frame_id, self._layout.boxes)
        boxes = chosen(boxes, boxes.scores >= self._min_score)
        self._recording.log(entity, box_shapes(boxes, is_truth))
        velocities = f"{entity}/velocities"
        # Once there were arrows, they have to go with the boxes that had them.
        if velocities in self._frame_ids or np.isfinite(boxes.velocities).any():
            self.arrows(velocities, frame_id, boxes.centers, boxes.velocities)

    def arrows(self, entity: str, frame_id: str, points: NDArray[np.float32], velocities: NDArray[np.float32]) -> None:
        """Show velocities [N, 2] in m/s, of what is at points [N, 3]; nothing where they are unknown or small."""
        self._place(entity, frame_id, self._layout.boxes)
        self._recording.log(entity, arrow_shapes(points, velocities))

    def clear(self, entity: str) -> None:
        """Show nothing of an entity from now on, if it was ever shown."""
        if entity in self._frame_ids:
            self._recording.log(entity, self._rerun.Clear(recursive=True))

    def calibration(self, entity: str, frame_id: str, intrinsics: NDArray[np.float64], size: tuple[int, int]) -> None:
        """Say how a camera sees.

        Args:
            entity: where its images are shown.
            frame_id: its frame: x right, y down, z forward.
            intrinsics: float64 [3, 3].
            size: width and height in pixels.
        """
        said = (frame_id, intrinsics.tobytes(), size)
        if self._calibrations.get(entity) == said:
            return
        self._calibrations[entity] = said
        self._add(self._layout.calibrated, entity)
        plane = f"{entity}/plane"
        pinhole = self._rerun.Pinhole(
            image_from_camera=intrinsics,
            resolution=size,
            parent_frame=frame_id,
            child_frame=plane,
            image_plane_distance=IMAGE_DISTANCE_M,
        )
        self._recording.log(entity, pinhole, self._rerun.CoordinateFrame(plane), static=True)

    def encoded_image(self, entity: str, encoded: bytes, image_format: str) -> None:
        """Show an image file's bytes; `image_format` is "jpeg" or "png"."""
        self._add(self._layout.images, entity)
        self._recording.log(entity, self._rerun.EncodedImage(contents=encoded, media_type=f"image/{image_format}"))

    def image(self, entity: str, pixels: NDArray[np.uint8]) -> None:
        """Show uint8 [H, W] or [H, W, 3] (RGB)."""
        self._add(self._layout.images, entity)
        self._recording.log(entity, self._rerun.Image(pixels).compress(jpeg_quality=85))

    def series(self, entity: str, value: float, plot: str) -> None:
        """Add a point to a curve of the plot of this title."""
        self._add(self._layout.plots.setdefault(plot, []), entity)
        self._recording.log(entity, self._rerun.Scalars(float(value)))

    def text(self, entity: str, text: str, level: str = "INFO") -> None:
        """Add a line of text; `level` is INFO, WARN or ERROR."""
        self._add(self._layout.texts, entity)
        self._recording.log(entity, self._rerun.TextLog(text, level=level))

    def close(self) -> None:
        """Send what was not sent yet."""
        self._send_layout()
        self._recording.flush()

    def _points(self, entity: str, points: NDArray[np.float32], **properties: Any) -> None:
        radii = self._rerun.Radius.ui_points(POINT_PIXELS)
        self._recording.log(entity, self._rerun.Points3D(points[:, :3], radii=radii, **properties))

    def _thinned(self, points: NDArray[np.float32]) -> slice:
        return slice(None, None, -(-len(points) // self._max_points) if self._max_points and len(points) else 1)

    def _place(self, entity: str, frame_id: str, panel: list[str]) -> None:
        self._add(panel, entity)
        if not self._layout.fixed_frame:
            self._layout.fixed_frame = frame_id
        if self._frame_ids.get(entity) != frame_id:
            self._frame_ids[entity] = frame_id
            self._recording.log(entity, self._rerun.CoordinateFrame(frame_id), static=True)

    def _add(self, panel: list[str], entity: str) -> None:
        if entity not in panel:
            panel.append(entity)
            self._is_layout_new = True

    def _send_layout(self) -> None:
        if self._is_layout_new:
            self._recording.send_blueprint(self._layout.blueprint())
            self._is_layout_new = False

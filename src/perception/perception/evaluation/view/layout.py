"""Which panels a viewer opens with: made from what there is to see, so that a bag without cameras has no empty ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from perception.evaluation.report.pictures import BACKGROUND

#: Where the first look is from, and where to: behind and above the vehicle, forward; metres in the view's frame.
EYE_M, LOOK_AT_M = (-22.0, 0.0, 16.0), (12.0, 0.0, 0.0)
TIME_LINE = "stamp"


@dataclass
class Layout:
    """What was shown so far, by kind; each an entity's path.

    Attributes:
        fixed_frame: the tf frame that stands still in 3D views; empty: that of the first cloud or boxes.
        follows: whether the eye goes along with the first cloud.
        clouds: those without classes.
        boxes: with their velocities.
        labelled: clouds of classes; each has a view of its own, for they lie in the same place.
        images: camera images.
        calibrated: those that say where their cameras are.
        plots: title -> series.
        texts: lines of text.
    """

    fixed_frame: str = ""
    follows: bool = False
    clouds: list[str] = field(default_factory=list)
    boxes: list[str] = field(default_factory=list)
    labelled: list[str] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    calibrated: list[str] = field(default_factory=list)
    plots: dict[str, list[str]] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)

    def blueprint(self) -> Any:
        """Rerun's description of the panels."""
        import rerun.blueprint as rrb

        scene, *others = self._views_3d(rrb)
        # Boxes are drawn into the images of calibrated cameras too.
        drawn = {image: self.boxes if image in self.calibrated else [] for image in self.images}
        right: list[Any] = [
            rrb.Spatial2DView(origin=image, contents=[image, *boxes], name=image) for image, boxes in drawn.items()
        ]
        right += [rrb.TimeSeriesView(contents=series, name=title) for title, series in self.plots.items()]
        right += [rrb.TextLogView(contents=self.texts, name="messages")] if self.texts else []
        columns = [(scene, 3), *((rrb.Vertical(*views), 2) for views in (others, right) if views)]
        return rrb.Blueprint(
            rrb.Horizontal(*(column for column, _ in columns), column_shares=[share for _, share in columns]),
            rrb.TimePanel(timeline=TIME_LINE, state="collapsed"),
            collapse_panels=True,
        )

    def _views_3d(self, rrb: Any) -> list[Any]:
        """One of everything that shares a scene, and one of each labelling of the same points."""
        labelled = self.labelled if self.clouds else self.labelled[1:]
        scene = [*(self.clouds or self.labelled[:1]), *self.boxes, *self.calibrated]
        views = {"scene": scene} | {entity: [entity] for entity in labelled}
        # What moves through a frame that stands still would soon be out of sight.
        followed = scene[0] if self.follows and scene else None
        return [
            rrb.Spatial3DView(
                origin="/",
                contents=contents,
                name=name,
                background=list(BACKGROUND),
                spatial_information=rrb.SpatialInformation(target_frame=self.fixed_frame or "tf#/"),
                eye_controls=rrb.EyeControls3D(position=EYE_M, look_target=LOOK_AT_M, tracking_entity=followed),
            )
            for name, contents in views.items()
        ]

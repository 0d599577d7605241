"""What a training configuration file of a detector may say."""

from __future__ import annotations

from typing import Annotated, Literal

import pydantic

from perception.bundle.detection import CenterDecoding
from perception.bundle.format import DetectorSettings
from perception.configuration import Settings
from perception.training.data_settings import BagData, Count, NuscenesData, SimulatedData
from perception.training.detection.targets import HeatSettings
from perception.training.settings import Fraction, OptimizedSettings

NotNegative = Annotated[float, pydantic.Field(ge=0)]


class CenterLossSettings(Settings):
    """Weights of the losses; the defaults are the official FlatFormer's, but for velocities, which it leaves out.

    Attributes:
        box_weight, iou_weight: of those losses beside that of the heat map.
        velocity_weight: of vx and vy beside the other parts of a box.
        overlap, min_radius: how wide the heat map's Gaussians are; see `HeatSettings`.
    """

    box_weight: NotNegative = 2.0
    iou_weight: NotNegative = 1.0
    velocity_weight: NotNegative = 0.2
    overlap: Fraction = 0.1
    min_radius: int = pydantic.Field(default=2, ge=0)

    @property
    def heat(self) -> HeatSettings:
        """The Gaussians."""
        return HeatSettings(self.overlap, self.min_radius)


class DetectionSettings(OptimizedSettings):
    """Everything in a file of config/training for a detector.

    Attributes:
        classes: names of boxes, as nuScenes has them; objects of other classes are background.
        decoding: from maps to boxes, in validation and in the bundle.
        min_points: objects that show fewer are neither taught nor expected.
        validation_range_m: how far objects may be to count in validation.
        parts: how many batches a step has; their gradients are averaged, and as many processes can share them.
        validation_clouds: how many clouds, spread over all, are looked at while training; all of them at the end.
    """

    task: Literal["detection"]
    network: DetectorSettings
    classes: tuple[str, ...] = pydantic.Field(min_length=1)
    decoding: CenterDecoding
    data: Annotated[SimulatedData | BagData | NuscenesData, pydantic.Field(discriminator="source")]
    loss: CenterLossSettings = CenterLossSettings()
    parts: Count = 1
    min_points: int = pydantic.Field(default=5, ge=1)
    validation_range_m: float = pydantic.Field(default=50.0, gt=0)
    validation_clouds: int = pydantic.Field(default=20, ge=1)

    @pydantic.model_validator(mode="after")
    def _fits(self) -> DetectionSettings:
        if len(self.decoding.suppression) != len(self.classes):
            raise ValueError(
                f"decoding.suppression has {len(self.decoding.suppression)} rules for {len(self.classes)} classes"
            )
        features = 4 if self.data.merged_sweeps == 1 else 5
        if self.network.point_channels != features:
            raise ValueError(
                f"network.point_channels must be {features}: x, y, z, intensity"
                + (", and the time lag of several sweeps" if features == 5 else "")
            )
        return self

"""What a training configuration file may say."""

from __future__ import annotations

from typing import Annotated

import pydantic

from perception.bundle.format import NetworkSettings, PositiveFloat
from perception.configuration import Settings

Count = Annotated[int, pydantic.Field(ge=1)]
Fraction = Annotated[float, pydantic.Field(ge=0, lt=1)]


class SeedRange(Settings):
    """The seeds `first`, `first + 1`, ... of simulated drives."""

    first: int = pydantic.Field(ge=0)
    count: Count

    @property
    def seeds(self) -> range:
        """All of them."""
        return range(self.first, self.first + self.count)


class SimulatedData(Settings):
    """Simulated drives; few sweeps of each, far apart in time, since variety comes from the seeds."""

    sensor: str = "hdl64e"
    training_seeds: SeedRange
    validation_seeds: SeedRange
    sweeps_per_drive: Count
    #: Of how many sweeps one is taken.
    sweep_step: Count

    @pydantic.model_validator(mode="after")
    def _validation_is_unseen(self) -> SimulatedData:
        if set(self.training_seeds.seeds) & set(self.validation_seeds.seeds):
            raise ValueError("training_seeds and validation_seeds overlap: validation would not be on unseen drives")
        return self


class AugmentationSettings(Settings):
    """Random changes of every training cloud; the rotation about z and the mirroring are always on."""

    scale: Fraction = 0.05
    jitter_m: float = pydantic.Field(default=0.01, ge=0)
    drop: Fraction = 0.2
    intensity_scale: Fraction = 0.2
    intensity_shift: float = pydantic.Field(default=0.05, ge=0)
    #: Mean number of objects of rare classes that are pasted into a cloud from others.
    paste: float = pydantic.Field(default=0.0, ge=0)
    #: A pasted object hides what is behind it within this azimuth and elevation of one of its points: about the step
    #: between a sensor's rays.
    paste_shadow_deg: tuple[PositiveFloat, PositiveFloat] = (0.2, 0.4)


class OptimizerSettings(Settings):
    """AdamW under a cosine schedule with linear warm-up."""

    learning_rate: PositiveFloat
    weight_decay: float = pydantic.Field(default=0.01, ge=0)
    warm_up_steps: int = pydantic.Field(default=100, ge=0)
    #: Decay of the running average of the weights that is validated and shipped.
    average_decay: Fraction = 0.99


class LossSettings(Settings):
    """Cross entropy with class weights, plus Lovasz-softmax."""

    #: Class weights are (points of the class) ** -power, scaled to a mean of 1.
    class_weight_power: Fraction = 0.5
    lovasz_weight: float = pydantic.Field(default=1.0, ge=0)


class TrainingSettings(Settings):
    """Everything in a file of config/training."""

    name: str = pydantic.Field(min_length=1)
    network: NetworkSettings
    voxel_size_m: PositiveFloat
    data: SimulatedData
    augmentation: AugmentationSettings = AugmentationSettings()
    optimizer: OptimizerSettings
    loss: LossSettings = LossSettings()
    #: Factors that bring the input features to about 1 while training; folded into the first layer for the bundle.
    feature_scale: tuple[float, ...]
    batch_size: Count
    #: Processes that make batches ahead; with 0, a thread of the training's own process does.
    workers: int = pydantic.Field(default=0, ge=0)
    steps: Count
    checkpoint_every: Count = 100
    validate_every: Count = 500
    seed: int = pydantic.Field(default=0, ge=0)

    @pydantic.model_validator(mode="after")
    def _one_scale_a_feature(self) -> TrainingSettings:
        if len(self.feature_scale) != self.network.input_channels:
            raise ValueError(f"{len(self.feature_scale)} feature scales for {self.network.input_channels} features")
        return self

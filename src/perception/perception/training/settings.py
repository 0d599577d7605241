"""What a training configuration file may say."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pydantic

from perception.bundle.format import NetworkSettings, PositiveFloat, PvcnnSettings
from perception.bundle.supernet import Elasticity
from perception.configuration import Settings
from perception.training.data_settings import Count, DataSettings

Fraction = Annotated[float, pydantic.Field(ge=0, lt=1)]


class AugmentationSettings(Settings):
    """Random changes of every training cloud; the mirroring is always on."""

    #: Largest turn about z, either way.
    rotation_deg: float = pydantic.Field(default=180.0, ge=0, le=180)
    #: Standard deviation of a shift along each axis.
    shift_m: float = pydantic.Field(default=0.0, ge=0)
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


class BlockSampling(Settings):
    """What a network of blocks is shown of each cloud of a batch."""

    per_cloud: Count = 4
    #: Every block is laid around a point of a drawn class. With 0 classes are drawn as often as they have points, with
    #: more the rare ones more often: like (points of the class) ** (1 - balance).
    balance: Fraction = 0.5


class SupernetSettings(Settings):
    """Training of a supernet, whose largest network is that of `network`.

    Attributes:
        elasticity: how much smaller networks may be.
        networks_per_step: how many networks are drawn for a step; their gradients are averaged.
        largest_networks: how many of them are the largest one, which has the most to learn; the others are drawn
            uniformly.
        shrink: the share of the training in which stages are shortened, block by block, to the smallest depth. Until
            its end, depths that were not reached yet are not drawn (progressive depth shrinking).
    """

    elasticity: Elasticity = Elasticity()
    networks_per_step: Count = 2
    largest_networks: int = pydantic.Field(default=1, ge=0)
    shrink: Fraction = 0.25

    def min_depth_at(self, progress: float, max_depth: int) -> int:
        """The fewest blocks of a stage when a share `progress` of the training is done."""
        levels = max_depth - self.elasticity.min_depth
        reached = levels if progress >= self.shrink else int(levels * progress / self.shrink)
        return max_depth - reached


class OptimizedSettings(Settings):
    """What every training's configuration says, whatever it teaches.

    Attributes:
        workers: processes that make batches ahead; with 0, a thread of the training's own process does.
        mixed_precision: half precision where a GPU trains.
        half_weights: round the bundle's weights to half precision, which halves its file.
    """

    name: str = pydantic.Field(min_length=1)
    data: DataSettings
    augmentation: AugmentationSettings = AugmentationSettings()
    optimizer: OptimizerSettings
    batch_size: Count
    workers: int = pydantic.Field(default=0, ge=0)
    steps: Count
    checkpoint_every: Count = 100
    validate_every: Count = 500
    seed: int = pydantic.Field(default=0, ge=0)
    mixed_precision: bool = True
    half_weights: bool = False

    @pydantic.field_validator("data", mode="before")
    @classmethod
    def _simulated_by_default(cls, data: Any) -> Any:
        return {"source": "simulated", **data} if isinstance(data, dict) else data


class TrainingSettings(OptimizedSettings):
    """Everything in a file of config/training for a network that labels points."""

    task: Literal["segmentation"] = "segmentation"
    network: NetworkSettings
    #: Train a supernet of which `network` is the largest network.
    supernet: SupernetSettings | None = None
    voxel_size_m: PositiveFloat
    loss: LossSettings = LossSettings()
    blocks: BlockSampling = BlockSampling()
    #: Of the official networks; a small network on much data does without.
    dropout: Fraction = 0.3
    #: Factors that bring the input features to about 1 while training; folded into the first layer for the bundle.
    feature_scale: tuple[float, ...]

    @pydantic.model_validator(mode="after")
    def _one_scale_a_feature(self) -> TrainingSettings:
        if len(self.feature_scale) != self.network.input_channels:
            raise ValueError(f"{len(self.feature_scale)} feature scales for {self.network.input_channels} features")
        if isinstance(self.network, PvcnnSettings) and set(self.feature_scale) != {1.0}:
            raise ValueError("feature_scale must be 1 everywhere: the features of blocks are scaled already")
        return self

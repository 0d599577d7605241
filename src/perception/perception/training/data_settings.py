"""Where the clouds of a training come from, as its configuration says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import pydantic

from perception.classes import NUSCENES_LIDARSEG, SEMANTIC_KITTI, ClassSet
from perception.configuration import Settings
from perception.data.bag_types import Topics

Count = Annotated[int, pydantic.Field(ge=1)]
Part = Literal["training", "validation"]


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

    source: Literal["simulated"] = "simulated"
    sensor: str = "hdl64e"
    training_seeds: SeedRange
    validation_seeds: SeedRange
    sweeps_per_drive: Count
    #: Of how many sweeps one is taken.
    sweep_step: Count
    #: A cloud is the sweep that is taken and those just before it, in its coordinates, with the time lag of each point.
    merged_sweeps: int = pydantic.Field(default=1, ge=1, le=3)

    @pydantic.model_validator(mode="after")
    def _validation_is_unseen(self) -> SimulatedData:
        _require_unseen("seeds", self.training_seeds.seeds, self.validation_seeds.seeds, "drives")
        return self

    @property
    def classes(self) -> ClassSet:
        """What the clouds are labelled with."""
        return SEMANTIC_KITTI

    def seeds_of(self, part: Part) -> range:
        """The seeds of the training's or the validation's drives."""
        return (self.training_seeds if part == "training" else self.validation_seeds).seeds

    def description(self, part: Part) -> str:
        """The clouds in words, for the bundle."""
        sweeps = f"{self.sweeps_per_drive} sweeps (1 in {self.sweep_step}) of each simulated {self.sensor} drive"
        sweeps += f", each with the {self.merged_sweeps - 1} before it," if self.merged_sweeps > 1 else ""
        return f"{sweeps} of seeds {self.seeds_of(part)[0]} to {self.seeds_of(part)[-1]}"


class RecordedData(Settings):
    """Recorded clouds, read as they are needed.

    Attributes:
        sweep_step: of how many sweeps of a recording one is taken.
        cache_mb: clouds that each process keeps in memory.
    """

    sweep_step: Count = 1
    cache_mb: int = pydantic.Field(default=1000, ge=0)


class SemanticKittiData(RecordedData):
    """Sequences of SemanticKITTI, by default in the official split.

    Attributes:
        folder: holds the sequences 00, 01, ..., or `sequences/` or `dataset/sequences/` with them.
    """

    source: Literal["semantic_kitti"]
    folder: Path
    training_sequences: tuple[int, ...] = pydantic.Field(default=(0, 1, 2, 3, 4, 5, 6, 7, 9, 10), min_length=1)
    validation_sequences: tuple[int, ...] = pydantic.Field(default=(8,), min_length=1)

    @pydantic.model_validator(mode="after")
    def _validation_is_unseen(self) -> SemanticKittiData:
        _require_unseen("sequences", self.training_sequences, self.validation_sequences, "drives")
        return self

    @property
    def classes(self) -> ClassSet:
        """What the clouds are labelled with."""
        return SEMANTIC_KITTI

    def sequences_of(self, part: Part) -> tuple[int, ...]:
        """The sequences of the training or the validation."""
        return self.training_sequences if part == "training" else self.validation_sequences

    def description(self, part: Part) -> str:
        """The clouds in words, for the bundle."""
        sequences = ", ".join(f"{sequence:02}" for sequence in self.sequences_of(part))
        return f"1 in {self.sweep_step} sweeps of SemanticKITTI's sequences {sequences}"


class NuscenesData(RecordedData):
    """Key frames of nuScenes, by default in the official split.

    Attributes:
        folder: holds `v1.0-*/` and `samples/`; also `lidarseg/` for networks that label points, `sweeps/` to merge.
        version: as in "v1.0-mini"; needed where there are several.
        training_scenes: as in "scene-0061"; by default all labelled ones that are not for validation.
        validation_scenes: by default those of the official split.
        merged_sweeps: as of simulated drives; for detectors.
    """

    source: Literal["nuscenes"]
    folder: Path
    version: str | None = None
    training_scenes: tuple[str, ...] | None = None
    validation_scenes: tuple[str, ...] | None = None
    merged_sweeps: int = pydantic.Field(default=1, ge=1, le=3)

    @pydantic.model_validator(mode="after")
    def _validation_is_unseen(self) -> NuscenesData:
        _require_unseen("scenes", self.training_scenes or (), self.validation_scenes or (), "drives")
        return self

    @property
    def classes(self) -> ClassSet:
        """What the clouds are labelled with."""
        return NUSCENES_LIDARSEG

    def description(self, part: Part) -> str:
        """The clouds in words, for the bundle."""
        scenes = self.training_scenes if part == "training" else self.validation_scenes
        named = f"the {part} scenes" if scenes is None else f"{len(scenes)} scenes, {scenes[0]} to {scenes[-1]},"
        return f"1 in {self.sweep_step} key frames of {named} of nuScenes"


class BagData(RecordedData):
    """Bags with a topic of labelled clouds, as `perception simulate` and `perception convert` write them."""

    source: Literal["bags"]
    training_bags: tuple[Path, ...] = pydantic.Field(min_length=1)
    validation_bags: tuple[Path, ...] = pydantic.Field(min_length=1)
    topic: str = Topics.labelled_points
    #: As of simulated drives; for detectors, which read the drive instead of `topic`.
    merged_sweeps: int = pydantic.Field(default=1, ge=1, le=3)

    @pydantic.model_validator(mode="after")
    def _validation_is_unseen(self) -> BagData:
        _require_unseen("bags", self.training_bags, self.validation_bags, "bags")
        return self

    @property
    def classes(self) -> ClassSet:
        """What the clouds are labelled with."""
        return SEMANTIC_KITTI

    def bags_of(self, part: Part) -> tuple[Path, ...]:
        """The bags of the training or the validation."""
        return self.training_bags if part == "training" else self.validation_bags

    def description(self, part: Part) -> str:
        """The clouds in words, for the bundle."""
        return f"1 in {self.sweep_step} clouds of the bags {', '.join(path.name for path in self.bags_of(part))}"


#: `source` says which it is.
DataSettings = Annotated[
    SimulatedData | SemanticKittiData | NuscenesData | BagData, pydantic.Field(discriminator="source")
]


def _require_unseen(what: str, training: object, validation: object, unit: str) -> None:
    assert isinstance(training, (range, tuple))
    assert isinstance(validation, (range, tuple))
    if set(training) & set(validation):
        raise ValueError(f"training_{what} and validation_{what} overlap: validation would not be on unseen {unit}")

"""The bundle's description, `bundle.yaml`: what the network is, never how a robot is deployed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import pydantic
from typing_extensions import Self

from perception.bundle.architecture import SpvnasArchitecture
from perception.bundle.detection import CenterDecoding, FlatFormerSettings
from perception.bundle.files import BundleFiles
from perception.bundle.supernet import Elasticity
from perception.bundle.voxelnet import VoxelNetSettings
from perception.configuration import Settings, parse_settings, parse_yaml

DESCRIPTION_FILE = "bundle.yaml"
WEIGHTS_FILE = "weights.safetensors"
#: Larger files are no such files: they are not read.
MOST_DESCRIPTION_BYTES = 1 << 20
MOST_WEIGHTS_BYTES = 4 << 30

Checksum = Annotated[str, pydantic.Field(pattern="^[0-9a-f]{64}$")]
FileName = Annotated[str, pydantic.Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,100}$")]


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("Input should be one line of printable characters")
    return text


#: Names and notes reach terminals, topics and log files as they are.
Line = Annotated[str, pydantic.Field(min_length=1, max_length=2000), pydantic.AfterValidator(_printable)]
PositiveFloat = Annotated[float, pydantic.Field(gt=0)]


class _ScaledSettings(Settings):
    """An official network whose every layer is scaled alike."""

    model: str

    #: Multiplies the official channel widths (`cr` in the official code).
    width: PositiveFloat
    input_channels: int = pydantic.Field(default=4, ge=1)


class MinkunetSettings(_ScaledSettings):
    """MinkUNet: voxels only."""

    model: Literal["minkunet"] = "minkunet"


class SpvcnnSettings(_ScaledSettings):
    """SPVCNN: MinkUNet with a point branch."""

    model: Literal["spvcnn"] = "spvcnn"


class SpvnasSettings(Settings):
    """SPVNAS: every layer has a width of its own."""

    model: Literal["spvnas"] = "spvnas"
    architecture: SpvnasArchitecture
    input_channels: int = pydantic.Field(default=4, ge=1)


class BlockSettings(Settings):
    """How a sweep is cut into the small scenes that a PVCNN takes: squares seen from above, of full height."""

    size_m: PositiveFloat
    #: What of its neighbours a block sees, on every side.
    margin_m: float = pydantic.Field(default=0.0, ge=0)
    #: Lowest and highest z that the voxels tell apart; points below and above count as being there.
    height_m: tuple[float, float]
    #: More points in a square are dealt to several blocks.
    points: int = pydantic.Field(ge=1)

    @property
    def half_m(self) -> float:
        """From the middle of a block to the end of its margin, along x and y."""
        return self.size_m / 2 + self.margin_m

    @pydantic.model_validator(mode="after")
    def _rising(self) -> BlockSettings:
        if self.height_m[0] >= self.height_m[1]:
            raise ValueError(f"height_m runs from {self.height_m[0]} to {self.height_m[1]}, expected low, high")
        return self


class PvcnnSettings(Settings):
    """PVCNN on blocks of a sweep."""

    model: Literal["pvcnn"] = "pvcnn"
    #: Multiplies the official channel widths.
    width: PositiveFloat
    #: Multiplies the official numbers of voxels along an edge, 32 and 16.
    voxel_resolution: PositiveFloat = 1.0
    #: What a block tells the network about each point (`perception.runtime.blocks.block_features`).
    input_channels: Literal[7] = 7
    blocks: BlockSettings


#: The architecture: enough to build it before the weights are loaded; `model` says which one it is.
NetworkSettings = Annotated[
    SpvcnnSettings | MinkunetSettings | SpvnasSettings | PvcnnSettings, pydantic.Field(discriminator="model")
]

#: The same of detectors.
DetectorSettings = Annotated[FlatFormerSettings | VoxelNetSettings, pydantic.Field(discriminator="model")]


class CommonDescription(Settings):
    """What every bundle.yaml says, whatever its network does."""

    format: Literal[1]
    name: Line
    task: str
    #: The executor that runs it (an entry point of the group perception.engines).
    engine: Line
    network: Settings
    classes: tuple[Line, ...] = pydantic.Field(min_length=1, max_length=255)
    #: RGB 0..255, one a class.
    colors: tuple[tuple[int, int, int], ...]
    #: Fields that a cloud must have, besides x, y, z.
    required_fields: tuple[Line, ...] = ("intensity",)
    #: Accuracy that was measured when the bundle was made, and on what.
    measured: dict[Line, Annotated[float, pydantic.Field(allow_inf_nan=False)] | Line] = pydantic.Field(
        default_factory=dict
    )
    license: Line
    #: Where the weights come from: the command, seed and data that made them.
    origin: Line
    weights_sha256: Checksum
    #: Checksums of the bundle's other files, by name: the graph, its ONNX regions, the self-check.
    files: dict[FileName, Checksum] = pydantic.Field(default_factory=dict)

    @pydantic.model_validator(mode="after")
    def _one_color_a_class(self) -> Self:
        if len(self.colors) != len(self.classes):
            raise ValueError(f"{len(self.colors)} colors for {len(self.classes)} classes")
        return self

    @property
    def point_columns(self) -> int:
        """Features of a point of the clouds that the network takes, the first four x, y, z and intensity."""
        return 4

    @property
    def further_fields(self) -> list[str]:
        """Fields of a cloud that the network takes beside x, y, z and intensity."""
        return [name for name in self.required_fields if name != "intensity"]


class BundleDescription(CommonDescription):
    """Everything in the bundle.yaml of a network that labels points."""

    task: Literal["segmentation"]
    network: NetworkSettings
    #: Of a supernet: which smaller networks its weights hold; `network` is the largest.
    supernet: Elasticity | None = None
    voxel_size_m: PositiveFloat
    #: Clouds with more voxels are clipped: points in voxels beyond these, by first occurrence, stay unlabelled.
    capacity_voxels: int = pydantic.Field(default=300_000, ge=1, le=10_000_000)


class DetectionDescription(CommonDescription):
    """Everything in the bundle.yaml of a detector; points outside of `network.range_m` are no part of its input."""

    task: Literal["detection"]
    network: DetectorSettings
    #: From the head's maps to boxes.
    decoding: CenterDecoding
    #: Clouds with more points within the range are thinned evenly.
    capacity_points: int = pydantic.Field(default=1_000_000, ge=1, le=10_000_000)
    #: How many sweeps a cloud is made of; with more than one the last feature of a point is its time lag in seconds.
    sweeps: int = pydantic.Field(default=1, ge=1, le=3)
    #: Features of a point that the network gets the hyperbolic tangent of, as official Waymo networks do; 3: intensity.
    squashed_columns: tuple[int, ...] = ()

    @pydantic.model_validator(mode="after")
    def _one_rule_a_class(self) -> Self:
        if len(self.decoding.suppression) != len(self.classes):
            raise ValueError(f"{len(self.decoding.suppression)} rules of suppression for {len(self.classes)} classes")
        return self

    @pydantic.model_validator(mode="after")
    def _squashes_features(self) -> Self:
        if not set(self.squashed_columns) <= set(range(3, self.point_columns)):
            raise ValueError(f"squashed_columns must be 3 to {self.point_columns - 1}: features after x, y and z")
        return self

    @property
    def point_columns(self) -> int:
        """Features of a point of the clouds that the network takes."""
        return self.network.point_channels


Description = TypeVar("Description", bound=CommonDescription)
#: What bundle.yaml holds, by its `task`.
DESCRIPTIONS: dict[object, type[CommonDescription]] = {"detection": DetectionDescription}


def read_description(files: BundleFiles) -> BundleDescription:
    """Read a bundle's description, and nothing else.

    Raises:
        ConfigurationError: a missing or wrong bundle.yaml.
    """
    source, values = _content(files)
    return parse_settings(BundleDescription, values, source)


def read_any_description(files: BundleFiles) -> CommonDescription:
    """Read a bundle's description, whatever its network does, and nothing else.

    Raises:
        ConfigurationError: a missing or wrong bundle.yaml.
    """
    source, values = _content(files)
    task = values.get("task") if isinstance(values, dict) else None
    known = DESCRIPTIONS.get(task) if isinstance(task, str) else None
    return parse_settings(known or BundleDescription, values, source)


def _content(files: BundleFiles) -> tuple[Path, Any]:
    source = files.folder / DESCRIPTION_FILE
    return source, parse_yaml(files.read(DESCRIPTION_FILE, MOST_DESCRIPTION_BYTES), source, aliases=False)


def load_description(folder: Path) -> BundleDescription:
    """Read the description of a network that labels points, and check its weights against the checksum.

    Raises:
        ConfigurationError: a missing or wrong bundle.yaml, missing weights, or weights that were changed.
    """
    files = BundleFiles(folder, DESCRIPTION_FILE)
    description = read_description(files)
    check_weights_file(files, description)
    return description


def check_weights_file(files: BundleFiles, description: CommonDescription) -> None:
    """Check a bundle's weights against the checksum; ConfigurationError where they are missing or were changed."""
    files.read(WEIGHTS_FILE, MOST_WEIGHTS_BYTES, description.weights_sha256)

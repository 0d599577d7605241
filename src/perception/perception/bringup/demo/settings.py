"""What the demo was asked to do."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from perception.configuration import ConfigurationError
from perception.data.simulation.settings import load_sensor
from perception.nodes.replay import positive

#: Training simulates its drives from this seed on; the demo's must lie below.
FIRST_TRAINING_SEED = 1000


@dataclass(frozen=True)
class DemoSettings:
    """The choices of `perception demo`.

    Attributes:
        out: the folder of the report, the figures, the drives and the logs.
        seeds: of the drives.
        duration_s: of each drive.
        sensor: a name in config/sensors, or a file.
        bundle: a name in config/models, or a folder: the network that labels points.
        detector: the same, the network that finds objects; empty: none.
        rate: drive seconds a second.
        scan, labels: a real scan in SemanticKITTI's format and its labels.
        verbose: quote what the child processes say, also when all goes well.
    """

    out: Path
    seeds: tuple[int, ...]
    duration_s: float
    sensor: str
    bundle: str
    detector: str = ""
    rate: float = 1.0
    scan: Path | None = None
    labels: Path | None = None
    verbose: bool = False

    @property
    def rate_hz(self) -> float:
        """Clouds a second.

        Raises:
            ConfigurationError: no such sensor, or its file is wrong.
        """
        return load_sensor(self.sensor).rate_hz * self.rate

    @property
    def drives(self) -> Path:
        """The folder of the bags."""
        return self.out / "drives"

    @property
    def logs(self) -> Path:
        """The folder of what child processes print."""
        return self.out / "logs"

    @classmethod
    def from_arguments(cls, arguments: argparse.Namespace) -> DemoSettings:
        """Take the choices from the parsed command line.

        Raises:
            ConfigurationError: choices that contradict each other.
        """
        trained = [seed for seed in arguments.seeds if seed >= FIRST_TRAINING_SEED]
        if trained:
            raise ConfigurationError(
                f"--seeds {trained[0]}: training may have seen this drive; take seeds below {FIRST_TRAINING_SEED}"
            )
        if len(set(arguments.seeds)) != len(arguments.seeds):
            raise ConfigurationError("--seeds: the same seed twice would count its drive twice")
        if arguments.labels and not arguments.scan:
            raise ConfigurationError("--labels: they label the points of --scan, which is missing")
        return cls(
            **{name: value for name, value in vars(arguments).items() if name in cls.__dataclass_fields__}
            | {"seeds": tuple(arguments.seeds)}
        )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="folder of the report (default: out/demo)")
    parser.add_argument("--seeds", type=int, nargs="+", default=(1, 2), help="of the simulated drives (default: 1 2)")
    parser.add_argument("--duration-s", type=positive, default=10.0, help="of each drive (default: 10)")
    parser.add_argument("--sensor", default="hdl64e", help="a name in config/sensors, or a YAML file (default: hdl64e)")
    parser.add_argument("--bundle", default="spvcnn_street", help="a bundle's name or folder (default: spvcnn_street)")
    parser.add_argument(
        "--detector",
        default="flatformer_street",
        help="a bundle that finds objects in the same drives, '' for none (default: flatformer_street)",
    )
    parser.add_argument("--rate", type=positive, default=1.0, help="drive seconds a second (default: 1)")
    parser.add_argument(
        "--scan", type=Path, metavar="FILE.bin", help="also label a real scan in SemanticKITTI's format"
    )
    parser.add_argument("--labels", type=Path, metavar="FILE.label", help="the true labels of --scan")
    parser.add_argument("-v", "--verbose", action="store_true", help="quote what the child processes say")

"""The demo's drives: simulated once, and made again only when something that shapes them has changed."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

from perception.bringup.demo.children import PERCEPTION, DemoError, tail
from perception.configuration import ConfigurationError
from perception.data import bags, semantic_kitti, simulation
from perception.data.drive import DriveFrame
from perception.data.files import read_points
from perception.data.kitti_vehicle import BASE_FROM_LIDAR, START_NS
from perception.data.simulation.settings import load_sensor
from perception.types import Frame, PointCloud


def drive_bag(folder: Path, sensor: str, seed: int, duration_s: float) -> Path:
    """Where the bag of a drive is or will be; its name holds all that shapes the drive.

    Raises:
        ConfigurationError: no such sensor, or its file is wrong.
    """
    return folder / f"{Path(sensor).stem}_seed{seed}_{duration_s:g}s_{_fingerprint(sensor)}"


def _fingerprint(sensor: str) -> str:
    """A digest of the simulator and the sensor, so that a change of either makes new drives."""
    digest = hashlib.sha256(load_sensor(sensor).model_dump_json().encode())
    for file in sorted(Path(simulation.__file__).parent.rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:8]


def simulate(bag: Path, sensor: str, seed: int, duration_s: float, log: Path) -> None:
    """Simulate one drive in a child process, and remove the drives that it replaces.

    Raises:
        DemoError: the simulator failed; the message ends with what it said last.
    """
    for outdated in bag.parent.glob(f"{bag.name.rpartition('_')[0]}_*"):
        shutil.rmtree(outdated)
    command = [*PERCEPTION, "simulate", "--out", str(bag), "--sensor", sensor]
    command += ["--seed", str(seed), "--duration-s", f"{duration_s:g}"]
    with log.open("w") as output:
        code = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, check=False).returncode
    if code:
        raise DemoError(f"the simulator ended with code {code}\n{tail(log)}")


def scan_bag(folder: Path, scan: Path, labels: Path | None) -> Path:
    """Write a real scan in SemanticKITTI's format as a bag of one frame.

    Raises:
        ConfigurationError: a file cannot be read, or there is not one label a point.
    """
    points = read_points(scan, 4)
    if not len(points):
        raise ConfigurationError(f"{scan}: holds no points")
    class_ids, instance_ids = semantic_kitti.read_labels(labels, len(points)) if labels else (None, None)
    frame = DriveFrame(
        frame=Frame(PointCloud(points), START_NS, "lidar"),
        base_from_lidar=BASE_FROM_LIDAR,
        class_ids=class_ids,
        instance_ids=instance_ids,
    )
    bag = folder / f"scan_{scan.stem}"
    bags.write_drive(bag, [frame], overwrite=True)
    return bag

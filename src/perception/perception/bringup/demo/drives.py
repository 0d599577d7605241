"""The demo's drives: simulated once, and made again only when something that shapes them has changed."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from perception.bringup.graph.children import Child
from perception.configuration import ConfigurationError
from perception.data import bags, semantic_kitti, simulation
from perception.data.drive import DriveFrame
from perception.data.files import read_points
from perception.data.kitti_vehicle import BASE_FROM_LIDAR, START_NS
from perception.data.simulation.settings import load_sensor
from perception.types import Frame, PointCloud

#: How often a real scan is in its bag: of a bag's clouds the very first may be lost on its way to the node.
SCAN_COPIES, SCAN_PERIOD_NS = 3, 1_000_000_000
#: At the same time; more would only compete for two cores.
SIMULATORS = 2
SIMULATION_TIMEOUT_S = 120.0
#: A drive of one second may take this many to simulate, on a slow board.
SIMULATION_TIMEOUT_FACTOR = 60.0


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


def simulate(bags: Mapping[int, Path], sensor: str, duration_s: float, logs: Path) -> None:
    """Simulate drives (seed -> bag) in child processes, and remove the drives that they replace.

    Raises:
        GraphError: the simulator failed; the message ends with what it said last.
    """
    seeds = list(bags)
    for start in range(0, len(seeds), SIMULATORS):
        with ExitStack() as running:
            children = [
                running.enter_context(_simulator(bags[seed], sensor, seed, duration_s, logs))
                for seed in seeds[start : start + SIMULATORS]
            ]
            for child in children:
                child.wait(SIMULATION_TIMEOUT_S + duration_s * SIMULATION_TIMEOUT_FACTOR)


def _simulator(bag: Path, sensor: str, seed: int, duration_s: float, logs: Path) -> Child:
    name = bag.name.rpartition("_")[0]
    # The second kind is what a simulator that was killed has left.
    for outdated in (*bag.parent.glob(f"{name}_*"), *bag.parent.glob(f".{name}_*")):
        shutil.rmtree(outdated)
    words = ["simulate", "--out", str(bag), "--sensor", sensor, "--seed", str(seed), "--duration-s", f"{duration_s:g}"]
    return Child(words, logs / f"simulate_{seed}.log", {})


def scan_bag(folder: Path, scan: Path, labels: Path | None) -> Path:
    """Write a real scan in SemanticKITTI's format as a bag of SCAN_COPIES frames, a second apart.

    Raises:
        ConfigurationError: a file cannot be read, or there is not one label a point.
    """
    points = read_points(scan, 4)
    if not len(points):
        raise ConfigurationError(f"{scan}: holds no points")
    class_ids, instance_ids = semantic_kitti.read_labels(labels, len(points)) if labels else (None, None)
    cloud = PointCloud(points)
    frames = (
        DriveFrame(
            frame=Frame(cloud, START_NS + number * SCAN_PERIOD_NS, "lidar"),
            base_from_lidar=BASE_FROM_LIDAR,
            class_ids=class_ids,
            instance_ids=instance_ids,
        )
        for number in range(SCAN_COPIES)
    )
    bag = folder / f"scan_{scan.stem}"
    bags.write_drive(bag, frames, overwrite=True)
    return bag

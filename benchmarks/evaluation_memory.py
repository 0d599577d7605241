"""Memory of `perception evaluate` along a bag that is larger than any memory: it must not grow with the bag.

    python benchmarks/evaluation_memory.py [--gigabytes 10] [--bundle spvcnn_street] [--workers 2] [--out out/bench]

The bag has clouds of 2 MB, of 64 points with much between them, so that reading is what takes time and networks have
little to do. It needs its size on the disk and is removed in the end. Takes about 3 minutes at 10 GB. Writes
out/bench/evaluation_memory.json: the peak of all processes together, memory that they share counted once, until a
tenth, a half and all of the frames were done, and while the report was made.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from perception.data.bag_types import POINT_CLOUD, header, new, typestore
from perception.data.new_bag import NewBag
from perception.evaluation.machine import describe_machine
from perception.evaluation.resources import ResourceSampler
from perception.evaluation.results import ResourceUsage

FRAME_POINTS, POINT_BYTES = 64, 1 << 15
PERIOD_NS = 100_000_000
#: Bytes before the data's own in a serialized header: the seconds and nanoseconds of its stamp.
STAMP = slice(4, 12)
SHARES = (0.1, 0.5, 1.0)
WAIT_S = 0.2


def write_bag(path: Path, gigabytes: float) -> int:
    """Write clouds that differ by their stamps; returns how many."""
    message = np.frombuffer(typestore().serialize_cdr(cloud(), POINT_CLOUD), np.uint8).copy()
    bag = NewBag(path, None, overwrite=False)
    bag.announce("/points", POINT_CLOUD)
    frames = max(len(SHARES), round(gigabytes * 1e9 / len(message)))
    for index in range(frames):
        stamp_ns = 10**18 + index * PERIOD_NS
        message[STAMP] = np.array(divmod(stamp_ns, 10**9), "<u4").view(np.uint8)
        bag.write_recorded("/points", stamp_ns, message.tobytes())
    bag.finish()
    return frames


def cloud() -> object:
    """A ring of points on flat ground, each followed by bytes that belong to no field."""
    points = np.zeros((FRAME_POINTS, POINT_BYTES // 4), np.float32)
    angles = np.linspace(0, 2 * np.pi, FRAME_POINTS)
    points[:, :4] = np.column_stack([8 * np.cos(angles), 8 * np.sin(angles), angles * 0 - 1.7, angles * 0 + 0.3])
    fields = [
        new("sensor_msgs/msg/PointField", name=name, offset=4 * column, datatype=7, count=1)
        for column, name in enumerate(("x", "y", "z", "intensity"))
    ]
    return new(
        POINT_CLOUD,
        header=header(0, "lidar"),
        height=1,
        width=FRAME_POINTS,
        fields=fields,
        is_bigendian=False,
        point_step=POINT_BYTES,
        row_step=POINT_BYTES * FRAME_POINTS,
        data=points.view(np.uint8).ravel(),
        is_dense=True,
    )


def evaluate(bag: Path, frames: int, arguments: argparse.Namespace) -> dict[str, ResourceUsage | None]:
    """Evaluate the bag and watch the processes until each share of the frames is done, and until the end."""
    out = bag.parent / "evaluation"
    words = ["evaluate", str(bag), "--models", arguments.bundle, "--workers", str(arguments.workers), "--out", str(out)]
    process = subprocess.Popen([sys.executable, "-m", "perception.cli", *words], stdout=subprocess.DEVNULL)
    found: dict[str, ResourceUsage | None] = {}
    done = Lines(out / "frames")
    for share in SHARES:
        with ResourceSampler([process.pid]) as sampler:
            while done.count() < share * frames and process.poll() is None:
                time.sleep(WAIT_S)
        found[f"until {share:.0%} of the frames"] = sampler.usage()
    with ResourceSampler([process.pid]) as sampler:
        code = process.wait()
    found["figures and report"] = sampler.usage()
    if code or done.count() != frames:
        raise SystemExit(f"perception evaluate: exit code {code}, {done.count()} of {frames} frames")
    return found


class Lines:
    """Counts the lines of files that grow."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._read, self._lines = folder, dict[Path, int](), 0

    def count(self) -> int:
        """Count what there is so far."""
        for path in self._folder.glob("*.jsonl"):
            with path.open("rb") as file:
                file.seek(self._read.get(path, 0))
                new_bytes = file.read()
            self._read[path] = self._read.get(path, 0) + len(new_bytes)
            self._lines += new_bytes.count(b"\n")
        return self._lines


def main() -> None:
    """Measure, print, and write out/bench/evaluation_memory.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=10)
    parser.add_argument("--bundle", default="spvcnn_street")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("out/bench"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(arguments.out).free < 1.1e9 * arguments.gigabytes:
        raise SystemExit(f"{arguments.out}: no {arguments.gigabytes:g} GB are free there; ask for fewer by --gigabytes")
    folder = Path(tempfile.mkdtemp(prefix="evaluation_memory.", dir=arguments.out))
    try:
        frames = write_bag(folder / "bag", arguments.gigabytes)
        began_s = time.monotonic()
        usages = evaluate(folder / "bag", frames, arguments)
        duration_s = time.monotonic() - began_s
    finally:
        shutil.rmtree(folder)
    peaks = {name: round(usage.memory_mib.max) for name, usage in usages.items() if usage is not None}
    result = {"gigabytes": arguments.gigabytes, "frames": frames, "duration_s": round(duration_s), "peak_mib": peaks}
    table = Table("", "peak, MiB", title=f"{arguments.gigabytes:g} GB, {frames} frames, {duration_s:.0f} s")
    for name, peak in peaks.items():
        table.add_row(name, str(peak))
    Console().print(table)
    file = arguments.out / "evaluation_memory.json"
    file.write_text(json.dumps(result | {"machine": describe_machine().model_dump()}, indent=2) + "\n")
    print(f"written to {file}")


if __name__ == "__main__":
    main()

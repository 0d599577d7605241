"""Damage bundles at random for a while, load them, and run what loads; with sanitizers in make fuzz.

    python -m tests.bundle.fuzz [--seconds 60] [--seed 1]

A damaged bundle may be refused with a sentence when it is loaded, and a frame with one when it runs. Anything else (a
crash, another exception, a sanitizer's report) ends the program, after a line with the seed that repeats it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

from perception.bundle.files import BundleFiles
from perception.bundle.format import DESCRIPTION_FILE, read_any_description
from perception.configuration import ConfigurationError
from perception.paths import find_bundle
from perception.runtime.engine import NATIVE_ENGINES
from perception.runtime.self_check import run_self_check
from perception.types import DetectedObjects, Frame, PointCloud
from tests.bundle.block_graphs import write_block_network
from tests.bundle.detector_graphs import write_checked_detector
from tests.bundle.graphs import write_unet
from tests.bundle.mutations import Files, mutate

#: Of each kind one that is exported from trained weights.
SHIPPED = ("spvcnn_street", "pvcnn_street")
POINTS = np.random.default_rng(0).uniform(-4, 4, (300, 4)).astype(np.float32)


def sound_bundles(folder: Path) -> list[Files]:
    """Small bundles to damage, of each kind of network and type of numbers."""
    write_unet(folder / "float32")
    write_unet(folder / "float16", dtype="float16")
    write_block_network(folder / "blocks")
    write_checked_detector(folder / "detector")
    return [contents_of(inner) for inner in sorted(folder.iterdir())]


def contents_of(bundle: Path) -> Files:
    """The files of a bundle."""
    return {file.name: file.read_bytes() for file in bundle.iterdir()}


def run_once(files: Files, folder: Path) -> str:
    """Load a bundle and run it; how far it came: refused, stopped (it loads, but takes no frame) or finished."""
    for old in folder.iterdir():
        old.unlink()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    try:
        description = read_any_description(BundleFiles(folder, DESCRIPTION_FILE))
        engine = NATIVE_ENGINES[description.task](folder, description, threads=1)
    except ConfigurationError as refusal:
        _check_sentence(str(refusal), starts_with=str(folder))
        return "refused"
    try:
        run_self_check(engine, folder)
    except ConfigurationError as refusal:
        _check_sentence(str(refusal), starts_with=str(folder))
        return "refused"
    try:
        result = engine.forward(Frame(PointCloud(POINTS)))
    except ValueError as refusal:
        _check_sentence(str(refusal))
        return "stopped"
    if isinstance(result, DetectedObjects):
        assert np.isfinite(result.boxes.centers).all()
        assert np.isfinite(result.boxes.sizes).all()
    else:
        assert result.class_ids.shape == result.probabilities.shape == (len(POINTS),)
    return "finished"


def _check_sentence(message: str, starts_with: str = "") -> None:
    assert message.startswith(starts_with), f"a refusal that names no file: {message}"
    assert message.isprintable(), f"a refusal that would spoil a terminal: {message!r}"
    assert 10 < len(message) < 900, f"a refusal of {len(message)} characters"


def fuzz(seconds: float, first_seed: int) -> Counter[str]:
    """Go round all bundles until the time is over; count how far each came."""
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "sound").mkdir()
        (Path(scratch) / "damaged").mkdir()
        sound = sound_bundles(Path(scratch) / "sound") + [contents_of(find_bundle(name)) for name in SHIPPED]
        end_s = time.monotonic() + seconds
        seed = first_seed
        while time.monotonic() < end_s:
            # What runs when a sanitizer ends the program.
            print(f"\rbundle {seed}\033[K", end="", file=sys.stderr, flush=True)
            try:
                with np.errstate(all="ignore"):
                    counts[run_once(mutate(sound[seed % len(sound)], seed), Path(scratch) / "damaged")] += 1
            except BaseException:
                print(f"\rfuzz: bundle with seed {seed}", file=sys.stderr, flush=True)
                raise
            seed += 1
    print("\r\033[K", end="", file=sys.stderr)
    return counts


def main() -> None:
    """Fuzz and say what was done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    counts = fuzz(arguments.seconds, arguments.seed)
    print(f"fuzz: {sum(counts.values())} damaged bundles, {counts['refused']} refused with a sentence, ", end="")
    print(f"{counts['stopped']} refused a frame, {counts['finished']} finished it, nothing else found")
    if useless := [outcome for outcome in ("refused", "finished") if not counts[outcome]]:
        sys.exit(f"fuzz: none was {useless[0]}, so that half of it was not tried")


if __name__ == "__main__":
    main()

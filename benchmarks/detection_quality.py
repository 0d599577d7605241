"""What detectors find: on simulated drives that training never saw, and on real frames, with pictures.

    python benchmarks/detection_quality.py [BUNDLE ...] [--seeds 20] [--out out/bench]

Average precision as `perception evaluate` gives it (nuScenes': centres within 0.5, 1, 2 and 4 m, averaged) of every
class within 50 m, once of objects that show at least 5 points and once of all that show any, and the milliseconds a
cloud on this machine. The real frames are those of ../shared: one of KITTI, in front of the car only, and one of
nuScenes with 32 beams; nobody trained on either. Writes out/bench/detection_quality.json, and a picture for each bundle
and frame beside it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from detection_frames import RealFrame, real_frames
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from perception.data.boxes import chosen, points_inside
from perception.data.drive import DriveFrame
from perception.evaluation.criteria import DetectionCriteria
from perception.evaluation.judging import Judge
from perception.evaluation.latency import summarize_stages
from perception.evaluation.machine import describe_machine
from perception.evaluation.models import EvaluatedModel
from perception.evaluation.outcomes import FrameOutcome
from perception.evaluation.records import FrameRecord
from perception.evaluation.report.detection_pictures import DetectedScan, detection_sheet
from perception.evaluation.results import DetectionResults
from perception.evaluation.summary import summarize
from perception.runtime.starting import load_engine
from perception.training.clouds import cache_folder, make_clouds, read_clouds, simulated_drive
from perception.training.data_settings import SeedRange, SimulatedData
from perception.types import Boxes3D, DetectedObjects, Frame, PointCloud

RANGE_M = 50.0
#: What an object must show to count.
LEAST_POINTS = (5, 1)
#: Boxes below are left out of pictures; metrics take them all.
SHOWN_SCORE = 0.3
#: The seeds below 1000 are nobody's training.
FIRST_SEED = 1
REPEATS = 3


class Scan(NamedTuple):
    """A simulated sweep and its objects."""

    title: str
    points: NDArray[np.float32]
    truth: Boxes3D


def simulated_scans(drives: int, work: Path) -> Iterator[Scan]:
    """Two sweeps of every drive, simulated at the first call."""
    unseen = SeedRange(first=FIRST_SEED, count=drives)
    data = SimulatedData(
        training_seeds=SeedRange(first=1000, count=1), validation_seeds=unseen, sweeps_per_drive=2, sweep_step=40
    )
    for file in make_clouds(simulated_drive(data), unseen.seeds, cache_folder(work / "clouds", data)):
        for number, cloud in enumerate(read_clouds(file)):
            assert cloud.boxes is not None
            yield Scan(f"drive {int(file.stem.split('_')[1])}.{number}", cloud.points, cloud.boxes)


class Measured(NamedTuple):
    """What a bundle does to the simulated scans."""

    records: list[FrameRecord]
    stages: list[dict[str, float]]


def record_of(engine: Any, points: NDArray[np.float32], truth: Boxes3D, found: DetectedObjects) -> FrameRecord:
    """What an evaluation keeps of a cloud."""
    moment = DriveFrame(Frame(PointCloud(points)), np.eye(4), objects=truth)
    return Judge.of_bundle(engine.description).judge(FrameOutcome("clouds", 0, moment, engine.description.name, found))


def figures_of(engine: Any, records: Sequence[FrameRecord], least_points: int) -> DetectionResults:
    """The figures of an evaluation of these clouds."""
    model = EvaluatedModel(engine.description.name, Path(), engine.description)
    criteria = DetectionCriteria(range_m=RANGE_M, least_points=least_points)
    (results,) = summarize(records, [model], criteria=criteria)
    assert results.detection is not None, "every cloud has a truth"
    return results.detection


def measure(engine: Any, scans: Sequence[Scan]) -> Measured:
    """Detect in all scans; times are of `REPEATS` runs each."""
    records, stages = [], []
    for scan in track(scans, description=engine.description.name):
        results = [engine.forward(Frame(PointCloud(scan.points))) for _ in range(REPEATS)]
        stages += [result.stage_ms | {"total": sum(result.stage_ms.values())} for result in results]
        records.append(record_of(engine, scan.points, scan.truth, results[0]))
    return Measured(records, stages)


def in_figures(engine: Any, measured: Measured) -> dict[str, Any]:
    """The results as plain data."""
    figures = {least: figures_of(engine, measured.records, least) for least in LEAST_POINTS}
    precision = {
        f"at_least_{least}_points": {
            "map": each.mean_average_precision,
            **{name: {"ap": one.average_precision, "objects": one.objects} for name, one in each.by_class.items()},
        }
        for least, each in figures.items()
    }
    return precision | {
        "stage_ms": {name: each.model_dump() for name, each in summarize_stages(measured.stages).items()}
    }


def draw(engine: Any, title: str, points: NDArray[np.float32], truth: Boxes3D, file: Path) -> DetectedObjects:
    """Detect in one cloud, write the picture of what scores high enough and can be expected, and return all."""
    found: DetectedObjects = engine.forward(Frame(PointCloud(points)))
    classes = engine.description.classes
    colors = dict(zip(classes, engine.description.colors, strict=True))
    shown = chosen(found.boxes, found.boxes.scores >= SHOWN_SCORE)
    known = np.array([name in classes for name in truth.class_names], bool)
    expected = chosen(truth, known & (points_inside(points, truth) >= LEAST_POINTS[0]))
    title = f"{engine.description.name}, {title}: score {SHOWN_SCORE} and more"
    detection_sheet(DetectedScan(title, points, shown, expected, colors)).save(file)
    return found


def on_real_frame(engine: Any, frame: RealFrame, folder: Path) -> dict[str, Any]:
    """What is found in a real frame, against the boxes that can be expected."""
    file = folder / f"{engine.description.name}_{frame.name}.png"
    found = draw(engine, frame.name, frame.points, frame.truth, file)
    by_class = figures_of(engine, [record_of(engine, frame.points, frame.truth, found)], LEAST_POINTS[0]).by_class
    shown = chosen(found.boxes, found.boxes.scores >= SHOWN_SCORE)
    return {
        name: {
            "ap": round(by_class[name].average_precision, 3) if name in by_class else None,
            "objects": by_class[name].objects if name in by_class else 0,
            "found": shown.class_names.count(name),
        }
        for name in engine.description.classes
    }


def print_table(results: dict[str, dict[str, Any]]) -> None:
    """One bundle a column."""
    table = Table("simulated drives, within 50 m", *results)
    first = next(iter(results.values()))
    for least in LEAST_POINTS:
        key = f"at_least_{least}_points"
        table.add_row(f"mAP, {least} points and more", *(f"{each[key]['map']:.3f}" for each in results.values()))
        for name in (name for name in first[key] if name != "map"):
            values = [each[key].get(name) for each in results.values()]
            label = f"  {name} ({first[key][name]['objects']})"
            table.add_row(label, *("" if value is None else f"{value['ap']:.3f}" for value in values))
    for name in ("p50", "p99"):
        table.add_row(f"ms a cloud, {name}", *(f"{each['stage_ms']['total'][name]:.0f}" for each in results.values()))
    Console().print(table)


def main() -> None:
    """Measure, print, draw, and write out/bench/detection_quality.json."""
    parser = argparse.ArgumentParser(description="What detectors find, simulated and real.")
    parser.add_argument("bundles", nargs="*", default=["flatformer_street", "pointpillars_street"])
    parser.add_argument("--seeds", type=int, default=20, help="how many drives")
    parser.add_argument("--work", type=Path, default=Path("out/training"), help="simulated clouds are kept there")
    parser.add_argument("--out", type=Path, default=Path("out/bench"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    scans = list(simulated_scans(arguments.seeds, arguments.work))
    frames = list(real_frames())
    results: dict[str, dict[str, Any]] = {}
    for bundle in arguments.bundles:
        engine: Any = load_engine(bundle)
        engine.warm_up()
        name = engine.description.name
        results[name] = in_figures(engine, measure(engine, scans))
        results[name]["real"] = {frame.name: on_real_frame(engine, frame, arguments.out) for frame in frames}
        title, points, truth = scans[0]
        draw(engine, title, points, truth, arguments.out / f"{name}_simulated.png")
        engine.close()
    print_table(results)
    file = arguments.out / "detection_quality.json"
    file.write_text(json.dumps({"bundles": results, "machine": describe_machine().model_dump()}, indent=2) + "\n")
    print(f"written to {file}")


if __name__ == "__main__":
    main()

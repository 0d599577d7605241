"""A made-up evaluation of two networks: small clouds, a few errors, boxes near the true ones."""

from pathlib import Path

import numpy as np

from perception.bundle.format import CommonDescription
from perception.classes import SEMANTIC_KITTI
from perception.data.drive import DriveFrame
from perception.evaluation.latency import summarize_stages
from perception.evaluation.models import EvaluatedModel
from perception.evaluation.outcomes import FrameOutcome
from perception.evaluation.records import BoxesRecord, FrameRecord, LabelsRecord, RecordWriter
from perception.evaluation.report.worst_frames import WorstFrames
from perception.evaluation.results import (
    BagDescription,
    ClassFigures,
    DetectionFigures,
    DetectionResults,
    EvaluationResults,
    FrameCounts,
    MachineDescription,
    ModelResults,
    PrecisionRecall,
    ResourceUsage,
    RunDescription,
    SegmentationFigures,
    SegmentationResults,
    Usage,
)
from perception.types import Boxes3D, DetectedObjects, Frame, LabelledCloud, PointCloud

SECOND_NS = 1_000_000_000
START_NS = 1_700_000_000 * SECOND_NS
MACHINE = MachineDescription(
    cpu="made-up cpu", cores=2, memory_gib=4.0, system="Linux", ros_distro="kilted", rmw="rmw", versions={"a": "1"}
)


def network(name, task, classes, colors):
    common = {"format": 1, "engine": "fake", "license": "none", "origin": "made up", "weights_sha256": "0" * 64}
    values = {"name": f"{name} <bundle>", "task": task, "network": {}, "classes": classes, "colors": colors}
    return EvaluatedModel(name, Path(name), CommonDescription.model_validate({**common, **values}))


LABELLER = network("labeller", "segmentation", SEMANTIC_KITTI.names, SEMANTIC_KITTI.colors.tolist())
DETECTOR = network("detector", "detection", ("car", "pedestrian"), ((255, 158, 0), (0, 0, 230)))
NETWORKS = (LABELLER, DETECTOR)


def cloud(index, points=4000):
    rng = np.random.default_rng(index)
    places = rng.uniform(-30, 30, (points, 4)).astype(np.float32)
    places[:, 2] = rng.normal(-1.7, 0.05, points)
    places[: points // 4, 2] += rng.uniform(0, 3, points // 4)
    return places


def boxes(count, scores=1.0, shift_m=0.0):
    places = np.array([(6.0 * row + shift_m, 4.0 * (-1) ** row, -1.0) for row in range(count)], np.float32)
    names = tuple("car" if row % 2 else "pedestrian" for row in range(count))
    sizes = np.array([(4, 2, 1.6) if name == "car" else (0.8, 0.8, 1.7) for name in names], np.float32)
    return Boxes3D(
        places.reshape(-1, 3),
        sizes.reshape(-1, 3),
        np.linspace(0, 1, count, dtype=np.float32),
        names,
        np.full(count, scores, np.float32),
        np.full((count, 2), np.nan, np.float32),
    )


def frame(index, truth=True):
    labels = np.random.default_rng(index).choice(np.array([0, 8, 14, 255], np.uint8), 4000)
    return DriveFrame(
        Frame(PointCloud(cloud(index)), START_NS + index * SECOND_NS // 10, "lidar"),
        np.eye(4),
        class_ids=labels if truth else None,
        objects=boxes(6) if truth else None,
    )


def stages_ms(index):
    network_ms = 40.0 + 10 * np.sin(index / 5)
    return {"decode": 1.5, "inference": network_ms, "network.sparse": network_ms - 6, "network.head": 4.0} | {
        "publish": 2.0,
        "total": network_ms + 5.0,
    }


def outcome(network, index, bag="drive <1>", truth=True):
    """A frame in a network: every seventh is dropped, and the errors grow with the index."""
    of_bag = frame(index, truth)
    if index % 7 == 6:
        return FrameOutcome(bag, index, of_bag, network.name, None, "superseded")
    if network is LABELLER:
        labels = of_bag.class_ids.copy() if truth else np.zeros(4000, np.uint8)
        labels[: 10 * index] = 4
        result = LabelledCloud(labels, np.ones(4000, np.float32))
    else:
        result = DetectedObjects(boxes(7, 0.9, index / 40))
    return FrameOutcome(bag, index, of_bag, network.name, result, stage_ms=stages_ms(index))


def record(outcome, quality=None):
    objects = outcome.frame.objects
    truth = None if objects is None else BoxesRecord.of(objects, np.full(len(objects), 9))
    labels = None if objects is None else LabelsRecord(sha256="0" * 64, label_set="semantic_kitti")
    return FrameRecord(
        bag=outcome.bag,
        index=outcome.index,
        model=outcome.model,
        stamp_ns=outcome.frame.frame.stamp_ns,
        points=len(outcome.frame.frame.cloud),
        dropped=outcome.dropped,
        stage_ms=dict(outcome.stage_ms),
        quality=quality,
        truth=truth,
        labels=labels,
    )


def quality_of(outcome):
    return None if outcome.result is None else 1 - outcome.index / 100


def segmentation():
    iou = {"car": 0.75, "road": 0.9, "vegetation": 0.8}
    points = {"car": 1200, "road": 40000, "vegetation": 30000}
    classes = SEMANTIC_KITTI.names
    counts = np.diag([points.get(name, 0) for name in classes])
    counts[0, 4] = 130
    band = SegmentationFigures(mean_iou=0.8125, accuracy=0.9, iou={"car": 0.6875}, points={"car": 7})
    return SegmentationResults(
        mean_iou=0.8166,
        accuracy=0.951,
        iou=iou,
        points=points,
        label_set="semantic_kitti",
        classes=classes,
        confusion=tuple(tuple(row) for row in counts.tolist()),
        frames=60,
        by_distance={"0-20 m": band, "20-40 m": band},
    )


def detection():
    errors = {"translation": 0.21, "scale": 0.13, "orientation": 0.05, "velocity": None}
    at_m = {"0.5": 0.5, "1": 0.6, "2": 0.7, "4": 0.7}
    by_class = {
        name: ClassFigures(
            average_precision=value, average_precision_at_m=at_m, errors=errors, objects=1234, found=2345
        )
        for name, value in (("car", 0.625), ("pedestrian", 0.375))
    }
    recalls = np.linspace(0, 1, 101)
    curve = PrecisionRecall(
        distance_m=2.0,
        precision=tuple(np.where(recalls < 0.8, 1 - recalls**3, 0).tolist()),
        score=tuple(None if recall >= 0.8 else 1 - recall for recall in recalls.tolist()),
    )
    band = DetectionFigures(mean_average_precision=0.5, by_class={"car": by_class["car"]}, kitti={})
    levels = {"easy": 0.8, "moderate": 0.7, "hard": None}
    return DetectionResults(
        mean_average_precision=0.5,
        by_class=by_class,
        classes=("car", "pedestrian"),
        nuscenes_detection_score=0.5625,
        errors={**errors, "attribute": None},
        range_m=50.0,
        least_points=5,
        frames=60,
        curves={"car": curve, "pedestrian": curve},
        by_distance={"0-20 m": band, "20-40 m": band},
        by_points={"1-4 points": band, "5-19 points": band},
        kitti={"car": {"bev": levels, "3d": levels}},
    )


def model_results(network, frames, **figures):
    dropped = sum(index % 7 == 6 for index in range(frames))
    stages = [stages_ms(index) for index in range(frames) if index % 7 != 6]
    usage = Usage(mean=93.5, max=187.0)
    return ModelResults(
        name=network.name,
        bundle=network.description.name,
        bundle_sha256="0" * 64,
        task=network.description.task,
        frames=FrameCounts.accounted(frames, frames - dropped, {"superseded": dropped} if dropped else {}),
        latency_ms=summarize_stages(stages) if stages else {},
        rate_hz=9.5,
        resources=ResourceUsage(cpu_percent=usage, memory_mib=usage, samples=12),
        **figures,
    )


def results(frames=70, partial=False, **figures):
    """The figures of both networks; `figures`: of each by its name, instead of made-up ones."""
    made_up = {"labeller": {"segmentation": segmentation()}, "detector": {"detection": detection()}} | figures
    bags = BagDescription(
        name="drive <1>",
        frames=frames,
        duration_s=frames / 10,
        losses=("The file ends in the middle: 3 of 73 clouds are missing.",),
        labelled_frames=frames,
        frames_with_objects=frames,
    )
    return EvaluationResults(
        run=RunDescription(
            command="perception evaluate drive",
            created="2030-01-01",
            mode="offline",
            partial=partial,
            bags=(bags,),
            workers=2,
            duration_s=12.3,
            machine=MACHINE,
        ),
        models=tuple(model_results(network, frames, **made_up[network.name]) for network in NETWORKS),
        notes=("Mind the <gap>.",),
    )


def write_records(folder, frames=70, bag="drive <1>", quality=None):
    """Write the records of both networks; gives their file."""
    path = folder / "frames" / "drive.jsonl"
    with RecordWriter(path) as writer:
        for one in NETWORKS:
            for index in range(frames):
                of_frame = outcome(one, index, bag)
                known = None if of_frame.dropped else quality
                writer.write(record(of_frame, quality_of(of_frame) if quality is None else known))
    return path


def worst_frames(frames=70, limit=10):
    worst = WorstFrames(NETWORKS, limit)
    for one in NETWORKS:
        for index in range(frames):
            of_frame = outcome(one, index)
            worst.add(of_frame, record(of_frame, quality_of(of_frame)))
    return worst

"""An evaluation's records on a viewer's time line."""

from __future__ import annotations

from collections.abc import Iterable

from perception.evaluation.records import FrameRecord
from perception.evaluation.view.viewer import Viewer

TRUTH = "/ground_truth/objects"
#: Stages that every network has; more would be a plot of twenty curves.
PLOTTED_STAGES = ("total", "end_to_end")


def show_records(viewer: Viewer, records: Iterable[FrameRecord], frame_id: str) -> None:
    """Show what networks made of each frame: boxes beside the true ones, times, quality, and why frames were dropped.

    Args:
        viewer: shows it.
        records: of one bag.
        frame_id: the clouds' frame.
    """
    for record in records:
        viewer.at(record.stamp_ns)
        _show_boxes(viewer, record, frame_id)
        for stage in PLOTTED_STAGES:
            if stage in record.stage_ms:
                viewer.series(f"{record.model}/ms/{stage}", record.stage_ms[stage], "latency (ms)")
        if record.quality is not None:
            viewer.series(f"{record.model}/quality", record.quality, "quality (0 to 1)")
        if record.dropped:
            viewer.text(f"{record.model}/frames", f"{record.model}: frame {record.index}: {record.dropped}", "WARN")


def _show_boxes(viewer: Viewer, record: FrameRecord, frame_id: str) -> None:
    # Where a bag with results has them too.
    entity = f"/{record.model}/output/objects"
    if record.truth is not None:
        viewer.boxes(TRUTH, frame_id, record.truth.boxes(), is_truth=True)
    if record.found is not None:
        viewer.boxes(entity, frame_id, record.found.boxes())
    else:
        # The viewer goes on showing what was there last: a dropped frame would keep the boxes before it.
        viewer.clear(entity)

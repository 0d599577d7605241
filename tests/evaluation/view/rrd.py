"""Reads back what a viewer was sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from rerun.chunk import RrdReader


def rows(path: Path, entity: str, component: str, timeline: str = "stamp") -> list[tuple[int | None, Any]]:
    """(time or None where static, values) of every row of an entity's component, in the order of time."""
    reader = RrdReader(path)
    found = []
    for chunk in reader.stream():
        batch = chunk.to_record_batch()
        if chunk.entity_path != f"/{entity.removeprefix('/')}" or component not in batch.schema.names:
            continue
        times = [None] * len(batch) if chunk.is_static else np.asarray(batch.column(timeline)).astype(np.int64).tolist()
        found += list(zip(times, batch.column(component).to_pylist(), strict=True))
    return sorted(found, key=lambda row: row[0] or 0)


def entities(path: Path) -> set[str]:
    """Paths of everything in the file but its own properties."""
    reader = RrdReader(path)
    return {chunk.entity_path for chunk in reader.stream() if not chunk.entity_path.startswith("/__")}


def red_green_blue(color: int) -> tuple[int, int, int]:
    """Rerun's 0xRRGGBBAA."""
    return color >> 24, color >> 16 & 255, color >> 8 & 255

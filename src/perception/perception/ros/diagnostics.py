"""What a node says about itself on /diagnostics, whatever state it is in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import psutil
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from perception.ros.statistics import Snapshot

OK, WARN, ERROR, STALE = (DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR, DiagnosticStatus.STALE)

#: An active node without input for longer than this warns.
SILENT_INPUT_S = 2.0


@dataclass(frozen=True)
class Limits:
    """When processing is late, from the parameters of the same names."""

    max_processing_time_ms: float
    max_consecutive_delay_ms: float


def status(name: str, level: bytes, message: str, values: Mapping[str, Any]) -> DiagnosticStatus:
    """Make one status; floats are printed with one decimal."""
    pairs = [KeyValue(key=key, value=f"{v:.1f}" if isinstance(v, float) else str(v)) for key, v in values.items()]
    return DiagnosticStatus(name=name, level=level, message=message, hardware_id="", values=pairs)


def state_status(node: str, state: str, failure: str, values: Mapping[str, Any]) -> DiagnosticStatus:
    """Report the life cycle: ERROR with the reason after a failed transition."""
    memory_mb = psutil.Process().memory_info().rss / 1e6
    level, message = (ERROR, failure) if failure else (OK, state)
    return status(f"{node}: state", level, message, {"state": state, **values, "memory_mb": memory_mb})


def frames_status(node: str, is_active: bool, snapshot: Snapshot, topic: str) -> DiagnosticStatus:
    """Report frames in, out and dropped by reason, and the input's rate."""
    values: dict[str, Any] = {
        "in": snapshot.received,
        "out": snapshot.published,
        "dropped": sum(snapshot.dropped.values()),
        **{f"dropped.{reason}": count for reason, count in sorted(snapshot.dropped.items())},
        **{f"noted.{kind}": count for kind, count in sorted(snapshot.noted.items())},
        **dict(sorted(snapshot.totals.items())),
        "input_rate_hz": snapshot.input_rate_hz,
    }
    level, message = _judge_frames(is_active, snapshot, topic)
    return status(f"{node}: frames", level, message, values)


def _judge_frames(is_active: bool, snapshot: Snapshot, topic: str) -> tuple[bytes, str]:
    if not is_active:
        return OK, "not active"
    if snapshot.problem:
        return ERROR, snapshot.problem
    if snapshot.since_input_s is None:
        return WARN, f"nothing received on {topic} yet"
    if snapshot.since_input_s > SILENT_INPUT_S:
        return WARN, f"nothing received on {topic} for {snapshot.since_input_s:.0f} s"
    return OK, f"{snapshot.input_rate_hz:.1f} Hz"


def processing_status(node: str, snapshot: Snapshot, limits: Limits) -> DiagnosticStatus:
    """Report processing times: WARN when late, ERROR when late for too long."""
    times = np.asarray(snapshot.processing_ms or (0.0,))
    values: dict[str, Any] = {
        "processing_time_ms.last": float(times[-1]),
        "processing_time_ms.median": float(np.median(times)),
        "processing_time_ms.p99": float(np.percentile(times, 99)),
        "max_processing_time_ms": limits.max_processing_time_ms,
        "late_for_ms": snapshot.late_ms,
        "max_consecutive_delay_ms": limits.max_consecutive_delay_ms,
    }
    level, message = OK, "in time" if snapshot.processing_ms else "no frames"
    if snapshot.late_ms > limits.max_consecutive_delay_ms:
        level, message = ERROR, f"every frame late for {snapshot.late_ms / 1e3:.1f} s"
    elif times[-1] > limits.max_processing_time_ms:
        level, message = WARN, f"last frame took {times[-1]:.0f} ms, more than {limits.max_processing_time_ms:.0f} ms"
    return status(f"{node}: processing", level, message, values)

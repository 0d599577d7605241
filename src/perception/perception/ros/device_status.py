"""How the device is on which a node's network runs, for /diagnostics."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticStatus

from perception.ros.diagnostics import OK, status
from perception.runtime.device.figures import DeviceFigures


def device_statuses(node: str, device: str, figures: DeviceFigures) -> list[DiagnosticStatus]:
    """Report memory, temperature, power and clocks, as far as they are known; no status where nothing is."""
    known = {
        "memory_used_mb": _mb(figures.memory_used_bytes),
        "memory_total_mb": _mb(figures.memory_total_bytes),
        "temperature_c": figures.temperature_c,
        "power_w": figures.power_w,
        "power_mode": figures.power_mode,
        "load_percent": None if figures.load is None else 100 * figures.load,
        "clock_mhz": figures.clock_mhz,
        "clock_limit_mhz": figures.clock_limit_mhz,
    }
    values = {key: value for key, value in known.items() if value is not None}
    if not values:
        return []
    message = f"{device}: {figures.name}" if figures.name else device
    return [status(f"{node}: device", OK, message, values)]


def _mb(size_bytes: int | None) -> float | None:
    return None if size_bytes is None else size_bytes / 1e6

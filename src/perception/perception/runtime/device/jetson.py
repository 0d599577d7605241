"""Figures of a Jetson from Linux' sysfs, where boards from the first Nano to Thor keep them in different places.

Thermal zones, clocks and loads: Jetson Linux Developer Guide, "Platform Power and Performance"; power rails by the
INA3221 monitors (by hwmon since JetPack 5, by iio before); power modes by nvpmodel's own files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from perception.runtime.device.figures import DeviceFigures

#: How GPUs are called below /sys/class/devfreq: gpu (Nano, Orin since JetPack 6, Thor), TX2, Xavier, Orin.
_GPU = re.compile(r"(^|\.)(gpu|gp10b|gv11b|ga10b)")
#: Rails of the whole module's input.
_INPUTS = ("VDD_IN", "POM_5V_IN")
_LOWEST_C = -100.0  # a sensor that is switched off reads -256


def is_jetson(root: Path) -> bool:
    """Whether the machine is a Jetson."""
    return "Jetson" in (_text(root / "proc/device-tree/model") or "") or (root / "etc/nv_tegra_release").exists()


def read(root: Path) -> DeviceFigures:
    """Read what the board tells."""
    total, available = _memory(root)
    devfreq = next((one for one in _folders(root / "sys/class/devfreq") if _GPU.search(one.name)), None)
    clock = limit = load = None
    if devfreq is not None:
        clock, limit = _number(devfreq / "cur_freq"), _number(devfreq / "max_freq")
        load = _number(devfreq / "device/load")
    if load is None:
        load = _number(root / "sys/devices/gpu.0/load")
    return DeviceFigures(
        name=_text(root / "proc/device-tree/model"),
        memory_total_bytes=total,
        memory_used_bytes=None if total is None or available is None else total - available,
        temperature_c=_temperature_c(root),
        power_w=_power_w(root),
        load=None if load is None else load / 1000,
        clock_mhz=None if clock is None else clock / 1e6,
        clock_limit_mhz=None if limit is None else limit / 1e6,
        power_mode=_power_mode(root),
    )


def _memory(root: Path) -> tuple[int | None, int | None]:
    """All memory and what could be had, in bytes."""
    found = dict(re.findall(r"^(MemTotal|MemAvailable):\s+(\d+) kB$", _text(root / "proc/meminfo") or "", re.M))
    total, available = found.get("MemTotal"), found.get("MemAvailable")
    return None if total is None else int(total) << 10, None if available is None else int(available) << 10


def _temperature_c(root: Path) -> float | None:
    for zone in _folders(root / "sys/class/thermal"):
        if (_text(zone / "type") or "").lower().startswith("gpu"):
            thousandths = _number(zone / "temp")  # cannot be read while the GPU is switched off
            if thousandths is not None and thousandths / 1000 > _LOWEST_C:
                return thousandths / 1000
    return None


def _power_w(root: Path) -> float | None:
    """The power of the module's input, else of all rails."""
    rails = dict([*_hwmon_rails(root), *_iio_rails(root)])
    total = next((rails[name] for name in _INPUTS if name in rails), None)
    return total if total is not None or not rails else sum(rails.values())


def _hwmon_rails(root: Path) -> Iterator[tuple[str, float]]:
    """Rails of the kernel's driver: millivolts and milliamperes, labels on those that are connected."""
    for monitor in _folders(root / "sys/class/hwmon"):
        if _text(monitor / "name") != "ina3221":
            continue
        for channel in (1, 2, 3):  # higher ones are sums
            label = _text(monitor / f"in{channel}_label")
            millivolts, milliamperes = (_number(monitor / f"{kind}{channel}_input") for kind in ("in", "curr"))
            if label and label != "NC" and millivolts is not None and milliamperes is not None:
                yield label, millivolts * milliamperes / 1e6


def _iio_rails(root: Path) -> Iterator[tuple[str, float]]:
    """Rails of the driver before JetPack 5: milliwatts."""
    for monitor in _folders(root / "sys/bus/i2c/drivers/ina3221x"):
        for device in _folders(monitor):
            for channel in range(3) if device.name.startswith("iio") else ():
                label = _text(device / f"rail_name_{channel}")
                milliwatts = _number(device / f"in_power{channel}_input")
                if label and milliwatts is not None:
                    yield label, milliwatts / 1000


def _power_mode(root: Path) -> str | None:
    """The name of the mode that nvpmodel has set, or sets when the board starts."""
    modes = _text(root / "etc/nvpmodel.conf") or ""
    chosen = re.search(r"pmode:(\d+)", _text(root / "var/lib/nvpmodel/status") or "")
    chosen = chosen or re.search(r"^\s*<\s*PM_CONFIG\s+DEFAULT=(\d+)", modes, re.M)
    if chosen is None:
        return None
    names = re.findall(r"^\s*<\s*POWER_MODEL\s+ID=(\d+)\s+NAME=(\S+)", modes, re.M)
    return {int(number): name for number, name in names}.get(int(chosen[1]))


def _folders(folder: Path) -> list[Path]:
    """What lies in a folder, in the order of names and of the numbers that they end with."""
    try:
        return sorted(folder.iterdir(), key=lambda path: (len(path.name), path.name))
    except OSError:
        return []


def _text(file: Path) -> str | None:
    try:
        return file.read_text(errors="replace").strip("\0 \n")
    except OSError:
        return None


def _number(file: Path) -> float | None:
    try:
        return float((_text(file) or "").split()[0])
    except (ValueError, IndexError):
        return None

"""Figures of a GPU from NVIDIA's management library, where `nvidia-ml-py` and a driver are installed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from perception.runtime.device.figures import DeviceFigures

Value = TypeVar("Value")


def read(index: int = 0, pci_bus_id: str | None = None) -> DeviceFigures:
    """Read what the driver tells."""
    nvml = _library()
    if nvml is None:
        return DeviceFigures()

    def ask(question: Callable[..., Value], *arguments: Any) -> Value | None:
        try:
            return question(*arguments)
        except nvml.NVMLError:  # a GPU that does not know, or is gone
            return None

    if pci_bus_id is not None:
        gpu = ask(nvml.nvmlDeviceGetHandleByPciBusId, pci_bus_id.encode())
    else:
        gpu = ask(nvml.nvmlDeviceGetHandleByIndex, index)
    if gpu is None:
        return DeviceFigures()
    name: Any = ask(nvml.nvmlDeviceGetName, gpu)
    memory: Any = ask(nvml.nvmlDeviceGetMemoryInfo, gpu)
    milliwatts: Any = ask(nvml.nvmlDeviceGetPowerUsage, gpu)
    load: Any = ask(nvml.nvmlDeviceGetUtilizationRates, gpu)
    return DeviceFigures(
        name=name.decode() if isinstance(name, bytes) else name,
        memory_total_bytes=None if memory is None else int(memory.total),
        memory_used_bytes=None if memory is None else int(memory.used),
        temperature_c=_float(ask(nvml.nvmlDeviceGetTemperature, gpu, nvml.NVML_TEMPERATURE_GPU)),
        power_w=None if milliwatts is None else milliwatts / 1000,
        load=None if load is None else load.gpu / 100,
        clock_mhz=_float(ask(nvml.nvmlDeviceGetClockInfo, gpu, nvml.NVML_CLOCK_GRAPHICS)),
        clock_limit_mhz=_float(ask(nvml.nvmlDeviceGetMaxClockInfo, gpu, nvml.NVML_CLOCK_GRAPHICS)),
    )


@cache
def _library() -> Any:
    """The module, started; None where it is not installed or has no driver. It stays until the process ends."""
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    return pynvml


def _float(value: Any) -> float | None:
    return None if value is None else float(value)

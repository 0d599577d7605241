"""How a GPU is doing: memory, temperature, power, clocks, power mode, as far as the machine tells."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path

from perception.configuration import ConfigurationError


@dataclass(frozen=True)
class DeviceFigures:
    """Figures of a GPU at one moment; None is what the machine does not tell.

    Attributes:
        name: of the board or the GPU.
        memory_total_bytes: of the GPU; on a Jetson of the board, which shares it.
        memory_used_bytes: by everybody.
        temperature_c: of the GPU.
        power_w: of a Jetson's whole module (the sum of its rails where its input is not measured), else of the GPU.
        load: the share of the last moments in which the GPU worked, 0..1.
        clock_mhz: of the GPU at present.
        clock_limit_mhz: the highest that the GPU may reach in this power mode.
        power_mode: a Jetson's, by name, such as MAXN or 15W.
    """

    name: str | None = None
    memory_total_bytes: int | None = None
    memory_used_bytes: int | None = None
    temperature_c: float | None = None
    power_w: float | None = None
    load: float | None = None
    clock_mhz: float | None = None
    clock_limit_mhz: float | None = None
    power_mode: str | None = None


def read_figures(index: int = 0, pci_bus_id: str | None = None, root: Path = Path("/")) -> DeviceFigures:
    """Read the figures of a GPU. Takes a few milliseconds; nothing that is missing is an error.

    Args:
        index: which GPU of a machine with several, as CUDA counts them.
        pci_bus_id: where it sits, which is surer: NVML counts GPUs in another order than CUDA may.
        root: the folder in which /sys, /proc and /etc are found.
    """
    from perception.runtime.device import jetson, nvml

    own = jetson.read(root) if jetson.is_jetson(root) else DeviceFigures()
    if None not in asdict(own).values() or root != Path("/"):
        return own
    others = asdict(nvml.read(index, pci_bus_id))
    return replace(own, **{name: others[name] for name, value in asdict(own).items() if value is None})


def read_device(device: str, root: Path = Path("/")) -> DeviceFigures:
    """Read the figures of a device by its name; a CPU has some on a Jetson, whose memory and heat it shares."""
    from perception.runtime.device import gpu_index, jetson

    try:
        index = gpu_index(device)
    except ConfigurationError:  # whoever runs a network on it says so
        return DeviceFigures()
    if index is None:
        return read_figures(root=root) if jetson.is_jetson(root) else DeviceFigures()
    return read_figures(index, root=root)

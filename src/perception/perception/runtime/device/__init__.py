"""GPUs: the one place that knows CUDA's driver. Memory, streams, events and graphs for the executor; device figures."""

from perception.runtime.device.arrays import DeviceArray
from perception.runtime.device.device import Device, gpu_index, open_device
from perception.runtime.device.streams import EventTimer, Streams

__all__ = ["Device", "DeviceArray", "EventTimer", "Streams", "gpu_index", "open_device"]

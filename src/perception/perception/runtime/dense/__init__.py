"""Dense regions of a bundle: one ONNX file each, run by ONNX Runtime on the CPU and by TensorRT on a GPU."""

from perception.runtime.dense.region import DenseRegion, TensorSpec, load_region

__all__ = ["DenseRegion", "TensorSpec", "load_region"]

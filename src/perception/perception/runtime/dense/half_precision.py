"""Half-precision forms of ONNX networks, for TensorRTs that compute in the types of the file only."""

from __future__ import annotations

import logging

from perception.configuration import ConfigurationError
from perception.runtime.dense.quantization import import_onnx


def convert_to_half(network: bytes) -> bytes:
    """Make the half-precision form of a float32 network; its inputs and outputs stay float32.

    Raises:
        ConfigurationError: the packages that write networks are not installed.
    """
    onnx = import_onnx("fp16")
    try:
        from onnxruntime.transformers.float16 import convert_float_to_float16
    except ImportError:
        raise ConfigurationError("fp16 needs ONNX Runtime to convert networks; type: pip install onnxruntime") from None
    # It warns about each weight that half precision rounds to zero, which is what was asked for.
    logging.getLogger("onnxruntime.transformers.float16").setLevel(logging.ERROR)
    converted: bytes = convert_float_to_float16(onnx.load_from_string(network), keep_io_types=True).SerializeToString()
    return converted

"""A camera image of 1600 x 900 to BEVFusion's input: resized by 0.48, cropped to 704 x 256, normalised."""

from __future__ import annotations

import numpy as np
from PIL import Image

from benchmarks.kernel_cases import Case, Context
from perception import ops

SOURCE, RESIZED, CROP = (900, 1600), (432, 768), (176, 32, 256, 704)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BYTES = {"rgb8": 3, "bgr8": 3, "bgra8": 4, "yuv422": 2, "bayer_rggb8": 1}


def resize_with_pillow(pixels: np.ndarray) -> np.ndarray:
    """Do the same with Pillow and NumPy; Pillow resizes only what the crop keeps."""
    scale = SOURCE[0] / RESIZED[0]
    top, left, height, width = CROP
    box = (left * scale, top * scale, (left + width) * scale, (top + height) * scale)
    resized = Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC, box=box)
    values = (np.asarray(resized, np.float32) / 255 - np.float32(MEAN)) / np.float32(STD)
    return np.ascontiguousarray(values.transpose(2, 0, 1))


def cases(context: Context) -> list[Case]:
    """Every kind of encoding; Pillow beside those that it can read."""
    tables = ops.resize_tables(SOURCE, RESIZED, CROP)
    generator = np.random.default_rng(0)
    found = []
    for encoding, channels in BYTES.items():
        rows = generator.integers(0, 256, (SOURCE[0], SOURCE[1] * channels), dtype=np.uint8)

        def ours(rows: np.ndarray = rows, encoding: str = encoding) -> object:
            return ops.resize_normalize(rows, encoding, tables, MEAN, STD, threads=context.threads)

        pixels = rows.reshape(*SOURCE, channels)
        peer = (lambda pixels=pixels: resize_with_pillow(pixels)) if encoding == "rgb8" else None
        name = f"{encoding} 1600 x 900 to 3 x 256 x 704"
        found.append(Case(name, ours, "Pillow + NumPy (1 thread)" if peer else "", peer))
    return found

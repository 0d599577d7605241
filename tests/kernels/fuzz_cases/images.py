"""Camera images."""

import numpy as np

from perception import ops
from perception.ops.images import ENCODINGS


def fuzz_resize_normalize(draw):
    source, resized = ((draw.integer(1, 40), draw.integer(1, 40)) for _ in range(2))
    crop = tuple(draw.integer(-9, 30) for _ in range(2)) + tuple(draw.integer(1, 30) for _ in range(2))
    tables = ops.resize_tables(source, resized, draw.choice(None, crop), draw.choice("bilinear", "bicubic"))
    if draw.hostile:
        names = ("column_begins", "column_weights", "row_begins", "row_weights")
        name = draw.choice(*names)
        most = max(0, int(getattr(tables, name).max()))
        wild = draw.host_integers(getattr(tables, name).shape, 0, most)
        rows = (draw.integer(-1, 9), draw.integer(0, 40)) if draw.choice(True, False) else tables.source_rows
        tables = tables._replace(**{name: wild}, source_rows=rows)
    encoding = draw.choice(*ENCODINGS)
    image = draw.integers((source[0], source[1] * draw.choice(1, 2, 3, 4) + draw.integer(0, 3)), 0, 255, np.uint8)
    ops.resize_normalize(
        image,
        encoding,
        tables.place(draw.put),
        bgr=draw.choice(True, False),
        channels_last=draw.choice(True, False),
        dtype=draw.choice(np.float32, np.float16),
    )

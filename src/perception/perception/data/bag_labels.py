"""The labelled clouds of a bag."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from perception.data.bag_clouds import column_of, decode_cloud, records_of
from perception.data.bag_reader import messages, open_bag
from perception.data.bag_types import BagError

LabelledArrays = tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.uint32] | None]


def labelled_clouds(path: Path, topic: str) -> Iterator[LabelledArrays]:
    """Read the clouds on a topic one after the other; nothing else of the bag is needed.

    Yields:
        points float32 [N, 4], class ids uint8 [N], instance ids uint32 [N] or None where the cloud has no such field.

    Raises:
        BagError: there is no bag, it is damaged, has no such topic, or a cloud there has no field `class_id`.
    """
    with open_bag(path) as reader:
        connections = [connection for connection in reader.connections if connection.topic == topic]
        if not connections:
            names = ", ".join(sorted(reader.topics)) or "none"
            raise BagError(f"{path}: no labelled clouds on {topic} (it has: {names})")
        for _, message in messages(reader, path, connections):
            try:
                points, records = decode_cloud(message).points, records_of(message)
            except BagError as error:
                raise BagError(f"{path}: {topic}: {error}") from None
            class_ids = column_of(records, "class_id", np.uint8)
            if class_ids is None:
                raise BagError(f"{path}: the clouds on {topic} have no field class_id")
            yield points, class_ids, column_of(records, "instance", np.uint32)

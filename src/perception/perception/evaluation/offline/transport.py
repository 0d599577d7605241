"""Values between processes: arrays travel beside the pickle (protocol 5), so that none is copied into it first."""

from __future__ import annotations

import pickle
from multiprocessing.connection import Connection
from typing import Any


def send(connection: Connection, value: Any) -> None:
    """Send a value.

    Raises:
        OSError: nobody is there to receive it.
    """
    buffers: list[pickle.PickleBuffer] = []
    packed = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    connection.send_bytes(len(buffers).to_bytes(4, "little") + packed)
    for buffer in buffers:
        connection.send_bytes(buffer.raw())


def receive(connection: Connection) -> Any:
    """Wait for a value.

    Raises:
        EOFError: the sender ended.
        OSError: the connection broke.
    """
    packed = connection.recv_bytes()
    # A bytearray: arrays over bytes would be read-only, others than those that were sent.
    buffers = [bytearray(connection.recv_bytes()) for _ in range(int.from_bytes(packed[:4], "little"))]
    return pickle.loads(packed[4:], buffers=buffers)  # noqa: S301 - from a process of this run

"""Which of the clouds of a replay a result belongs to."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from perception.nodes.replay_trace import PublishedMessage


class Arrival(NamedTuple):
    """A result, or the news of a drop.

    Attributes:
        stamp_ns: stamp of the cloud that it is about.
        began_ns: when the node received that cloud, nanoseconds since the epoch.
    """

    stamp_ns: int
    began_ns: int


def match(clouds: Sequence[PublishedMessage], arrivals: Sequence[Arrival]) -> list[int | None]:
    """Say for each cloud which arrival is about it; each cloud and each arrival is used once at most.

    A stamp may occur several times, after a clock that jumped back or from a driver that does not set it. Of the clouds
    with the arrival's stamp it belongs to the one that was published nearest to when the node received it.

    Args:
        clouds: in the order in which they were published.
        arrivals: in the order in which they came.

    Returns:
        A position in `arrivals` for each cloud; None where nothing came of it.
    """
    by_stamp: dict[int, list[int]] = defaultdict(list)
    for position, cloud in enumerate(clouds):
        by_stamp[cloud.stamp_ns].append(position)
    found: list[int | None] = [None] * len(clouds)
    for number, arrival in enumerate(arrivals):
        positions = by_stamp.get(arrival.stamp_ns, [])
        after = bisect_left(positions, arrival.began_ns, key=lambda position: clouds[position].published_ns)
        near = [position for position in positions[max(after - 1, 0) : after + 1] if found[position] is None]
        if near:
            found[min(near, key=lambda position: abs(clouds[position].published_ns - arrival.began_ns))] = number
    return found

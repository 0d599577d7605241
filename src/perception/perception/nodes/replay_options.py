"""What a replay was asked to do."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path

from perception.ros.bag_selection import CLOCK_TOPIC, Selection


@dataclass(frozen=True)
class ReplayOptions:
    """The choices of `perception replay`.

    Attributes:
        bag: a rosbag2 folder or file.
        selection: which of its messages.
        rate: bag seconds a second.
        loop: start again at the end.
        clock: publish /clock (a /clock that was recorded is then left out).
        await_topics: topics that must have a subscriber before the start, as many as each is named; empty: any topic;
            None: do not wait.
        timeout_s: how long to wait for subscribers.
        max_gap_s: pauses of the bag that are longer than this are skipped; None: none is.
        trace: file that tells when each message was due and went out, see `replay_trace`; None: none.
        ros_arguments: words after `--ros-args`.
    """

    bag: Path
    selection: Selection = field(default_factory=Selection)
    rate: float = 1.0
    loop: bool = False
    clock: bool = True
    await_topics: tuple[str, ...] | None = None
    timeout_s: float = 60.0
    max_gap_s: float | None = None
    trace: Path | None = None
    ros_arguments: tuple[str, ...] = ()

    @classmethod
    def from_arguments(cls, arguments: argparse.Namespace) -> ReplayOptions:
        """Take the choices from the parsed command line."""
        exclude = (*arguments.exclude, *((CLOCK_TOPIC,) if arguments.clock else ()))
        wait = arguments.wait_for_subscribers
        return cls(
            bag=arguments.bag,
            selection=Selection(tuple(arguments.topics), exclude, arguments.start_s, arguments.duration_s),
            rate=arguments.rate,
            loop=arguments.loop,
            clock=arguments.clock,
            await_topics=None if wait is None else tuple(wait),
            timeout_s=arguments.timeout_s,
            max_gap_s=arguments.max_gap_s,
            trace=arguments.trace,
            ros_arguments=tuple(arguments.ros_args),
        )

"""Publish the messages of a bag when they are due."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter

import rclpy
from rclpy.clock import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock

from perception.configuration import ConfigurationError
from perception.nodes.replay_options import ReplayOptions
from perception.nodes.replay_report import ReplayReport
from perception.nodes.replay_trace import ReplayTrace
from perception.ros.bag_publishers import begins_with_header, open_publishers
from perception.ros.bag_selection import CLOCK_TOPIC, SelectedBag
from perception.ros.middleware import prepare_environment
from perception.ros.pace import Pace
from perception.ros.read_ahead import BagMessage, ReadAhead

#: The 40 Hz of `ros2 bag play --clock`. Each message costs every Python node about a millisecond.
CLOCK_PERIOD_S = 0.025
POLL_S = 0.1
#: A publisher sees a subscriber a little before the subscriber sees it; a best-effort message in between is lost. And
#: the subscriber, a node that has just been activated, has yet to find those who listen to it.
SETTLE_S = 1.0
#: What was sent last must reach subscribers before the sender's shared memory goes away.
LINGER = Duration(seconds=1)


class SimulatedClock:
    """Publishes /clock; within one pass it never goes back."""

    def __init__(self, node: Node, enabled: bool) -> None:
        self._publisher = node.create_publisher(Clock, CLOCK_TOPIC, QoSProfile(depth=10)) if enabled else None
        self._last_ns = 0

    def restart(self) -> None:
        """Allow one jump back."""
        self._last_ns = 0

    def publish(self, time_ns: int) -> None:
        """Say that it is `time_ns` now, unless a later time was said already."""
        if self._publisher is None or time_ns < self._last_ns:
            return
        self._last_ns = time_ns
        message = Clock()
        message.clock.sec, message.clock.nanosec = divmod(time_ns, 1_000_000_000)
        self._publisher.publish(message)


class Player:
    """One replay; `stop` ends it at any moment."""

    def __init__(
        self,
        bag: SelectedBag,
        options: ReplayOptions,
        publishers: dict[str, Publisher],
        clock: SimulatedClock,
        trace: ReplayTrace,
        stop: threading.Event,
    ) -> None:
        self._bag = bag
        self._options = options
        self._publishers = publishers
        self._clock = clock
        self._trace = trace
        self._stop = stop

    def wait_for_subscribers(self) -> bool:
        """Wait as the options ask; whether to go on."""
        topics = self._options.await_topics
        if topics is None:
            return True
        unknown = [topic for topic in topics if topic not in self._publishers]
        if unknown:
            raise ConfigurationError(f"{self._bag.path}: {unknown[0]} is not replayed, nobody can subscribe to it")
        deadline_s = time.monotonic() + self._options.timeout_s
        while not self._stop.wait(POLL_S) and time.monotonic() < deadline_s:
            self._clock.publish(self._bag.start_ns)
            subscribers = Counter({name: one.get_subscription_count() for name, one in self._publishers.items()})
            if subscribers >= Counter(topics) if topics else subscribers.total():
                return not self._stop.wait(SETTLE_S)
        return False

    def play(self, report: ReplayReport) -> None:
        """Publish everything once, or again and again with `loop`."""
        pace = Pace(self._bag.start_ns, self._options.rate)
        while not self._stop.is_set():
            with ReadAhead(self._bag.messages()) as messages:
                messages.wait_for_first()
                pace.restart()
                self._clock.restart()
                for message in messages:
                    self._skip_gap(message.time_ns, pace, report)
                    self._wait_until_due(message.time_ns, pace)
                    if self._stop.is_set():
                        return
                    self._publish(message, pace, report)
            if not self._options.loop:
                return
            self._wait_until_due(self._bag.stop_ns, pace)
            report.next_pass()

    def _skip_gap(self, time_ns: int, pace: Pace, report: ReplayReport) -> None:
        gap_s, longest_s = pace.wait_s(time_ns) * self._options.rate, self._options.max_gap_s
        if longest_s is not None and gap_s > longest_s:
            report.say(f"skipping {gap_s:.0f} s without messages")
            pace.skip_to(time_ns)

    def _wait_until_due(self, time_ns: int, pace: Pace) -> None:
        while (wait_s := pace.wait_s(time_ns)) > 0 and not self._stop.wait(min(wait_s, CLOCK_PERIOD_S)):
            self._clock.publish(min(pace.bag_time_ns(), time_ns))

    def _publish(self, message: BagMessage, pace: Pace, report: ReplayReport) -> None:
        publisher = self._publishers.get(message.topic)
        if publisher is None:
            return
        late_ms = -pace.wait_s(message.time_ns) * 1e3
        self._clock.publish(message.time_ns)
        self._trace.add(message, time.time_ns(), late_ms)
        publisher.publish(message.data)
        report.published(message, late_ms)

    def drain(self) -> None:
        """Wait until reliable subscribers have what was sent."""
        for publisher in self._publishers.values():
            if publisher.get_subscription_count():
                publisher.wait_for_all_acked(LINGER)


def replay(options: ReplayOptions) -> int:
    """Replay a bag in this process; see `perception.nodes.replay`.

    Raises:
        ConfigurationError: the bag or the selection cannot be used.
    """
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    prepare_environment()
    with SelectedBag(options.bag, options.selection) as bag:
        arguments = ["--ros-args", *options.ros_arguments] if options.ros_arguments else []
        rclpy.init(args=arguments, signal_handler_options=rclpy.SignalHandlerOptions.NO)
        node = rclpy.create_node("replay", start_parameter_services=False)
        try:
            return _replay(node, bag, options, stop)
        finally:
            node.destroy_node()
            rclpy.shutdown()


def _replay(node: Node, bag: SelectedBag, options: ReplayOptions, stop: threading.Event) -> int:
    publishers, skipped = open_publishers(node, bag.connections)
    report = ReplayReport(bag, options, skipped)
    if not publishers:
        raise ConfigurationError(f"{bag.path}: none of its message types is installed")
    stamped = [topic for topic, publisher in publishers.items() if begins_with_header(publisher.msg_type)]
    with ReplayTrace(options.trace, stamped) as trace:
        player = Player(bag, options, publishers, SimulatedClock(node, options.clock), trace, stop)
        if player.wait_for_subscribers():
            with report:
                player.play(report)
                player.drain()
            return 0
    if stop.is_set():
        return 0
    report.say(f"nobody subscribed within {options.timeout_s:g} s: {', '.join(options.await_topics or publishers)}")
    return 1

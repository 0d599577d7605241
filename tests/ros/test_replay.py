"""`perception replay` as a process, heard over the wire."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from bags import START_NS, UNKNOWN_TYPE, cloud, secret, text, transforms, write_bag
from processes import NodeProcess, wait_until
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import String
from support import LATCHED, Collector, Graph
from tf2_msgs.msg import TFMessage

pytestmark = pytest.mark.ros
MESSAGES = 20


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds: clouds and words at 10 Hz, one latched transform, one message of an unknown type."""
    messages: list[tuple[str, float, Any]] = [("/tf_static", 0.0, transforms("lidar")), ("/secret", 0.0, secret())]
    for index in range(MESSAGES):
        time_s = 0.1 * index
        messages += [("/points", time_s, cloud(time_s)), ("/words", time_s, text(f"word {index}"))]
    return write_bag(tmp_path_factory.mktemp("replay") / "bag", messages)


def replay(log: Path, bag: Path, *arguments: str, wait_for: Sequence[str] = ("/words",)) -> NodeProcess:
    waiting = ["--wait-for-subscribers", *wait_for] if wait_for else []
    return NodeProcess("perception.nodes.replay", log, arguments=[str(bag), *arguments, *waiting])


def clock_ns(clock: Collector) -> list[int]:
    return [message.clock.sec * 10**9 + message.clock.nanosec for message in clock.messages]


def words(collector: Collector) -> list[str]:
    return [message.data for message in collector.messages]


ALL_WORDS = [f"word {index}" for index in range(MESSAGES)]


def test_a_whole_bag(graph: Graph, bag: Path, tmp_path: Path) -> None:
    heard, clouds = graph.collect(String, "/words"), graph.collect(PointCloud2, "/points")
    clock = graph.collect(Clock, "/clock")
    with replay(tmp_path / "log", bag, wait_for=("/words", "/points")) as process:
        assert process.process.wait(60) == 0
        wait_until(lambda: len(heard) == MESSAGES and len(clouds) == MESSAGES, "every message")
    assert words(heard) == ALL_WORDS
    sent = cloud(0.3)
    assert clouds.messages[3].data.tobytes() == sent.data.tobytes()
    assert clouds.messages[3].header.frame_id == sent.header.frame_id
    assert [field.name for field in clouds.messages[3].fields] == ["x", "y", "z", "intensity"]
    times = clock_ns(clock)
    assert times == sorted(times)
    assert times[-1] == START_NS + 1_900_000_000
    # Not only with messages: between two of them, too.
    assert len(set(times)) > 2 * MESSAGES
    assert f"published {2 * MESSAGES + 1} messages" in process.output()
    assert "behind schedule: p99" in process.output()
    assert process.output().count(f"skipping /secret: {UNKNOWN_TYPE} is not installed") == 1


def test_a_rate_of_four_takes_a_quarter(graph: Graph, bag: Path, tmp_path: Path) -> None:
    heard = graph.collect(String, "/words")
    with replay(tmp_path / "log", bag, "--rate", "4") as process:
        assert process.process.wait(60) == 0
        wait_until(lambda: words(heard) == ALL_WORDS, "every message")
    found = re.search(r"rate ([0-9.]+) of 4,", process.output())
    assert found is not None
    # Near 4 where the machine has time; far from 1 in any case.
    assert 1.5 < float(found[1]) <= 4.05


def test_chosen_topics_only(graph: Graph, bag: Path, tmp_path: Path) -> None:
    heard, clouds = graph.collect(String, "/words"), graph.collect(PointCloud2, "/points")
    clock = graph.collect(Clock, "/clock")
    with replay(tmp_path / "log", bag, "--topics", "/w*", "/tf*", "--exclude", "/tf*", "--no-clock") as process:
        assert process.process.wait(60) == 0
        wait_until(lambda: words(heard) == ALL_WORDS, "every message")
    assert (len(clouds), len(clock)) == (0, 0)
    assert "/secret" not in process.output()


def test_a_span(graph: Graph, bag: Path, tmp_path: Path) -> None:
    heard, static = graph.collect(String, "/words"), graph.collect(TFMessage, "/tf_static", LATCHED)
    with replay(tmp_path / "log", bag, "--start-s", "1", "--duration-s", "0.5") as process:
        assert process.process.wait(60) == 0
        wait_until(lambda: words(heard) == ALL_WORDS[10:15], "the messages of the span")
    # It was latched before the span began.
    assert len(static) == 1


def test_a_late_subscriber_gets_what_is_latched(graph: Graph, bag: Path, tmp_path: Path) -> None:
    heard = graph.collect(String, "/words")
    with replay(tmp_path / "log", bag, "--loop"):
        heard.wait_for(3)
        static = graph.collect(TFMessage, "/tf_static", LATCHED)
        static.wait_for(1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_loop_jumps_back_and_ends_cleanly(graph: Graph, bag: Path, tmp_path: Path, number: signal.Signals) -> None:
    heard, clock = graph.collect(String, "/words"), graph.collect(Clock, "/clock")
    with replay(tmp_path / "log", bag, "--loop", "--rate", "4") as process:
        heard.wait_for(2 * MESSAGES + 5)
        assert process.stop(number) == 0
    assert words(heard)[: 2 * MESSAGES] == 2 * ALL_WORDS
    times = clock_ns(clock)
    jumps = [(one, two) for one, two in pairwise(times) if two < one]
    assert len(jumps) >= 2
    for before, after in jumps:
        assert before >= START_NS + 1_900_000_000
        assert after < START_NS + 50_000_000
    assert "Traceback" not in process.output()


def test_sigint_while_waiting(graph: Graph, bag: Path, tmp_path: Path) -> None:
    clock = graph.collect(Clock, "/clock")
    with replay(tmp_path / "log", bag) as process:
        clock.wait_for(1)
        assert process.stop() == 0


def test_nobody_subscribes(bag: Path, tmp_path: Path) -> None:
    with replay(tmp_path / "log", bag, "--timeout-s", "0.5") as process:
        assert process.process.wait(60) == 1
    assert process.output().splitlines()[-1] == "replay: nobody subscribed within 0.5 s: /words"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["/nowhere/bag"], "replay: /nowhere/bag: no such bag"),
        (["{bag}", "--topics", "/nix"], "no topic /nix (recorded: /points, /secret, /tf_static, /words)"),
        (["{bag}", "--topics", "/secret"], "none of its message types is installed"),
        (["{bag}", "--wait-for-subscribers", "/nix"], "/nix is not replayed"),
    ],
)
def test_what_cannot_be_replayed(bag: Path, tmp_path: Path, arguments: list[str], expected: str) -> None:
    words = [word.format(bag=bag) for word in arguments]
    with NodeProcess("perception.nodes.replay", tmp_path / "log", arguments=words) as process:
        assert process.process.wait(60) == 2
    assert expected in process.output().splitlines()[-1]
    assert "Traceback" not in process.output()


def test_a_topic_that_is_named_twice_needs_two_subscribers(graph: Graph, bag: Path, tmp_path: Path) -> None:
    first = graph.collect(String, "/words")
    with replay(tmp_path / "log", bag, "--timeout-s", "3", wait_for=("/words", "/words")) as process:
        assert process.process.wait(60) == 1
    assert "nobody subscribed within 3 s" in process.output()
    assert not first.messages
    second = graph.collect(String, "/words")
    with replay(tmp_path / "log", bag, wait_for=("/words", "/words")) as process:
        assert process.process.wait(60) == 0
    assert words(first) == words(second) == ALL_WORDS


def test_behind_schedule_is_said(graph: Graph, tmp_path: Path) -> None:
    # 200 clouds of 1.6 MB within 2 ms: no machine carries 160 GB/s.
    many = write_bag(tmp_path / "bag", [("/points", 1e-4 * index, cloud(0.0, 100_000)) for index in range(200)])
    clouds = graph.collect(PointCloud2, "/points")
    with replay(tmp_path / "log", many, "--rate", "10", wait_for=("/points",)) as process:
        clouds.wait_for(1)
        assert process.process.wait(60) == 0
    assert "ms behind schedule: lower --rate, or --exclude topics nobody needs" in process.output()

"""How many 4 MB clouds reach a best-effort subscriber in another process, by the settings of Fast DDS.

    python benchmarks/dds_loss.py [--clouds 100] [--out out/bench]

One process publishes at 10 Hz, two subscribe: one takes clouds at once, one works 30 ms on each. Three settings:
Fast DDS's defaults, LARGE_DATA (its own answer to large messages), and config/dds/fastdds.xml.
Writes out/bench/dds_loss.json.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from perception.bringup.graph.isolation import isolated_environment
from perception.ros.middleware import PROFILE_VARIABLE, USER_CHOICES, prepare_environment

POINTS, POINT_BYTES = 124_000, 32
PERIOD_S = 0.1
#: What each subscriber does with a cloud.
WORK_MS = {"at_once": 0.0, "30_ms_of_work": 30.0}
#: With heavy loss, whole seconds pass between two clouds that arrive.
START_TIMEOUT_S, LAST_CLOUD_TIMEOUT_S = 30.0, 10.0


def settings() -> dict[str, dict[str, str]]:
    """The variables of each setting."""
    ours: dict[str, str] = {}
    profile = prepare_environment(ours)
    return {
        "defaults": {},
        "LARGE_DATA": {"FASTDDS_BUILTIN_TRANSPORTS": "LARGE_DATA"},
        "config/dds/fastdds.xml": {PROFILE_VARIABLE: str(profile)},
    }


def publish(count: int) -> None:
    """Publish `count` clouds at 10 Hz, once both subscribers are there."""
    import rclpy
    from rclpy.qos import qos_profile_sensor_data
    from rclpy.serialization import serialize_message
    from sensor_msgs.msg import PointCloud2

    rclpy.init(args=[])
    node = rclpy.create_node("publisher")
    publisher = node.create_publisher(PointCloud2, "/points", qos_profile_sensor_data)
    cloud = PointCloud2(height=1, width=POINTS, point_step=POINT_BYTES, row_step=POINTS * POINT_BYTES)
    cloud.data = bytes(POINTS * POINT_BYTES)
    data = serialize_message(cloud)
    while publisher.get_subscription_count() < len(WORK_MS):
        time.sleep(0.1)
    time.sleep(1.0)
    start_s = time.monotonic()
    for index in range(count):
        time.sleep(max(0.0, start_s + index * PERIOD_S - time.monotonic()))
        publisher.publish(data)
    time.sleep(1.0)
    node.destroy_node()
    rclpy.shutdown()


def subscribe(work_ms: float) -> None:
    """Count clouds until none comes any more, and print the number."""
    import rclpy
    from rclpy.qos import qos_profile_sensor_data
    from sensor_msgs.msg import PointCloud2

    received = 0

    def on_cloud(data: bytes) -> None:
        nonlocal received
        received += 1
        end_s = time.process_time() + work_ms / 1e3
        while time.process_time() < end_s:
            pass

    rclpy.init(args=[])
    node = rclpy.create_node("subscriber")
    node.create_subscription(PointCloud2, "/points", on_cloud, qos_profile_sensor_data, raw=True)
    last_s, seen = time.monotonic() + START_TIMEOUT_S, 0
    while time.monotonic() < last_s:
        rclpy.spin_once(node, timeout_sec=0.1)
        if received > seen:
            seen, last_s = received, time.monotonic() + LAST_CLOUD_TIMEOUT_S
    print(received)
    node.destroy_node()
    rclpy.shutdown()


def measure(count: int, variables: dict[str, str]) -> dict[str, int]:
    """How many of `count` clouds each subscriber got."""
    environment = {name: value for name, value in os.environ.items() if name not in USER_CHOICES}
    environment |= isolated_environment() | variables
    words = [sys.executable, __file__]
    subscribers = {
        name: subprocess.Popen(
            [*words, "--subscribe", str(work_ms)], env=environment, stdout=subprocess.PIPE, text=True
        )
        for name, work_ms in WORK_MS.items()
    }
    subprocess.run([*words, "--publish", str(count)], env=environment, check=True, stdout=subprocess.DEVNULL)
    return {name: int(process.communicate()[0].split()[-1]) for name, process in subscribers.items()}


def main() -> None:
    """Measure each setting, print a table, write the JSON."""
    parser = argparse.ArgumentParser(description="Lost clouds by the settings of Fast DDS.")
    parser.add_argument("--clouds", type=int, default=100)
    parser.add_argument("--out", type=Path, default=Path("out/bench"))
    parser.add_argument("--publish", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--subscribe", type=float, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.publish is not None:
        return publish(arguments.publish)
    if arguments.subscribe is not None:
        return subscribe(arguments.subscribe)
    result = {name: measure(arguments.clouds, variables) for name, variables in settings().items()}
    table = Table("settings", *WORK_MS, title=f"clouds received of {arguments.clouds}")
    for name, row in result.items():
        table.add_row(name, *map(str, row.values()))
    Console().print(table)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "dds_loss.json").write_text(
        json.dumps({"sent": arguments.clouds, "received": result}, indent=2) + "\n"
    )
    return None


if __name__ == "__main__":
    main()

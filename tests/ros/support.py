"""The tests' own node in the graph: publish, collect, call services, drive life cycles, read diagnostics.

Use it through the fixture `graph`, and start nodes with `NodeProcess` from `tests/ros/processes.py`.
"""

from __future__ import annotations

import threading
import time
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.srv import ChangeState, GetState
from processes import START_TIMEOUT_S, wait_until
from rcl_interfaces.srv import SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

#: Longer than any service of ours takes; after this an answer is taken to be lost.
ANSWER_TIMEOUT_S = 20.0
RELIABLE = QoSProfile(depth=50, reliability=ReliabilityPolicy.RELIABLE)
LATCHED = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class Collector:
    """Every message that arrived on one topic, oldest first."""

    def __init__(self) -> None:
        self.messages: list[Any] = []

    def __call__(self, message: Any) -> None:
        self.messages.append(message)

    def __len__(self) -> int:
        return len(self.messages)

    def wait_for(self, count: int, timeout_s: float = 20.0) -> list[Any]:
        """Wait until `count` messages have come, and return them all."""
        wait_until(lambda: len(self.messages) >= count, f"{count} messages, have {len(self.messages)}", timeout_s)
        return self.messages


class Graph:
    """A node that spins in a thread of its own."""

    def __init__(self) -> None:
        self.context = rclpy.Context()
        rclpy.init(context=self.context, signal_handler_options=rclpy.SignalHandlerOptions.NO)
        self.node = rclpy.create_node("test_graph", context=self.context)
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._spin)
        self._thread.start()
        self._diagnostics: dict[str, DiagnosticStatus] = {}
        self._diagnostics_stamp_s: dict[str, int] = {}
        self._clients: dict[str, Any] = {}
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, RELIABLE)

    def _spin(self) -> None:
        while not self._stop.is_set():
            self._executor.spin_once(timeout_sec=0.1)

    def close(self) -> None:
        """Leave the graph."""
        self._stop.set()
        self._thread.join()
        self._executor.shutdown()
        self.node.destroy_node()
        self.context.shutdown()

    # --- topics

    def collect(self, message_type: type, topic: str, qos: QoSProfile = RELIABLE) -> Collector:
        """Subscribe, and keep every message."""
        collector = Collector()
        self.node.create_subscription(message_type, topic, collector, qos)
        return collector

    def publisher(self, message_type: type, topic: str, qos: QoSProfile = RELIABLE, subscribers: int = 1) -> Any:
        """A publisher that already has `subscribers` subscribers (0: do not wait for any)."""
        publisher = self.node.create_publisher(message_type, topic, qos)
        wait_until(
            lambda: publisher.get_subscription_count() >= subscribers, f"a subscriber of {topic}", START_TIMEOUT_S
        )
        return publisher

    def wait_for_subscriber(self, topic: str, node_name: str) -> None:
        """Wait until the node with this name subscribes to the topic."""

        def there() -> bool:
            return any(info.node_name == node_name for info in self.node.get_subscriptions_info_by_topic(topic))

        wait_until(there, f"{node_name} to subscribe to {topic}", START_TIMEOUT_S)

    # --- services

    def call(self, service_type: type, name: str, request: Any, timeout_s: float = START_TIMEOUT_S) -> Any:
        """Call a service that may be called twice, and return the response.

        A server may answer before it has discovered the client's reader, and the answer is then lost (a known gap of
        ROS 2 services over DDS); so the question is asked again.
        """
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s:
            response = self.call_once(service_type, name, request)
            if response is not None:
                return response
        raise AssertionError(f"waited {timeout_s:.0f} s in vain for: the answer of {name}")

    def call_once(self, service_type: type, name: str, request: Any) -> Any:
        """Call a service and return the response, or None where the answer was lost."""
        if name not in self._clients:
            self._clients[name] = self.node.create_client(service_type, name)
        client = self._clients[name]
        wait_until(client.service_is_ready, f"service {name}", START_TIMEOUT_S)
        future = client.call_async(request)
        deadline_s = time.monotonic() + ANSWER_TIMEOUT_S
        while not future.done() and time.monotonic() < deadline_s:
            time.sleep(0.01)
        return future.result() if future.done() else None

    def change_state(self, node: str, transition: str) -> bool:
        """Ask a life-cycle node (full name) for a transition by its label; whether it was made."""
        before = self.state(node)
        request = ChangeState.Request()
        request.transition.label = transition
        response = self.call_once(ChangeState, f"{node}/change_state", request)
        # Asking twice would make the transition twice; the state tells what a lost answer would have said.
        return self.state(node) != before if response is None else bool(response.success)

    def state(self, node: str) -> str:
        """The life-cycle state of a node: unconfigured, inactive, active or finalized."""
        return str(self.call(GetState, f"{node}/get_state", GetState.Request()).current_state.label)

    def wait_for_state(self, node: str, state: str) -> None:
        """Wait until a node is in a life-cycle state."""
        wait_until(lambda: self.state(node) == state, f"{node} to be {state}", START_TIMEOUT_S)

    def set_parameter(self, node: str, name: str, value: Any) -> Any:
        """Set a parameter; returns rcl_interfaces/SetParametersResult."""
        request = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
        return self.call(SetParameters, f"{node}/set_parameters", request).results[0]

    # --- diagnostics

    def _on_diagnostics(self, array: DiagnosticArray) -> None:
        for status in array.status:
            self._diagnostics[status.name] = status
            self._diagnostics_stamp_s[status.name] = array.header.stamp.sec

    def diagnostic(self, name: str) -> DiagnosticStatus | None:
        """The newest status with this name."""
        return self._diagnostics.get(name)

    def diagnostic_values(self, name: str) -> dict[str, str]:
        """The key-value pairs of the newest status with this name."""
        status = self.diagnostic(name)
        return {} if status is None else {pair.key: pair.value for pair in status.values}

    def diagnostics_stamp_s(self, name: str) -> int:
        """Whole seconds of the stamp of the newest status with this name."""
        return self._diagnostics_stamp_s.get(name, 0)

    def wait_for_diagnostic(self, name: str, key: str, value: str, timeout_s: float = 20.0) -> None:
        """Wait until a status reports this value under this key."""
        try:
            wait_until(lambda: self.diagnostic_values(name).get(key) == value, f"{name}: {key} = {value}", timeout_s)
        except AssertionError as error:
            raise AssertionError(f"{error}; newest: {self.diagnostic_values(name)}") from None

"""Say on /diagnostics which processes run, which died, and when they come back."""

from __future__ import annotations

from collections.abc import Sequence

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.parameter import Parameter

from perception.bringup.description import NAMESPACE
from perception.bringup.supervised import ProcessStatus
from perception.ros.diagnostics import ERROR, OK, WARN, status

#: A restart is worth a warning for this long.
RESTART_WARNING_S = 60.0


def process_status(process: ProcessStatus) -> DiagnosticStatus:
    """One process as a diagnostic status: ERROR while it is down, WARN after a restart."""
    if process.pid is None:
        level, message = ERROR, f"down ({process.last_exit}), restart in {process.restart_in_s:.0f} s"
    elif process.restarts and process.uptime_s < RESTART_WARNING_S:
        level, message = WARN, f"restarted {process.uptime_s:.0f} s ago ({process.last_exit})"
    else:
        level, message = OK, "running"
    values = {
        "pid": process.pid or "none",
        "uptime_s": process.uptime_s,
        "restarts": process.restarts,
        "last_exit": process.last_exit or "none",
    }
    return status(f"{NAMESPACE}/bringup: {process.name}", level, message, values)


class StatusPublisher:
    """The supervisor's own node: one publisher, no services, no thread."""

    def __init__(self, use_sim_time: bool) -> None:
        rclpy.init(args=[], signal_handler_options=rclpy.SignalHandlerOptions.NO)
        self._node = rclpy.create_node(
            "bringup",
            namespace=NAMESPACE,
            start_parameter_services=False,
            enable_rosout=False,
            parameter_overrides=[Parameter("use_sim_time", value=use_sim_time)],
        )
        self._publisher = self._node.create_publisher(DiagnosticArray, "/diagnostics", 10)

    def publish(self, processes: Sequence[ProcessStatus]) -> None:
        """Publish the state of all processes."""
        # The only subscription is that of /clock, with use_sim_time.
        rclpy.spin_once(self._node, timeout_sec=0)
        array = DiagnosticArray(status=[process_status(process) for process in processes])
        array.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(array)

    def close(self) -> None:
        """Leave the graph."""
        self._node.destroy_node()
        rclpy.try_shutdown()

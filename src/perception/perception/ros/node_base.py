"""The base of every node: parameters, life cycle, and diagnostics that never go silent."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType, JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter

from perception.configuration import ConfigurationError
from perception.ros.diagnostics import state_status
from perception.ros.parameters import NodeParameters, ParameterRow
from perception.ros.statistics import FrameStatistics

DIAGNOSTICS_PERIOD_S = 1.0
LOG_PERIOD_S = 5.0

SUCCESS = TransitionCallbackReturn.SUCCESS
FAILURE = TransitionCallbackReturn.FAILURE


class ManagedNode(LifecycleNode):
    """A life-cycle node whose transitions fail with one sentence, and which says so on /diagnostics.

    A subclass implements `configure`, `activate`, `deactivate`, `cleanup` and `describe`. The executor that runs it
    must have at least two threads: a transition may take seconds, and diagnostics go on meanwhile.

    Args:
        name: the node's name.
        table: its parameters; must hold `autostart`.
        arguments: passed on to LifecycleNode.
    """

    def __init__(self, name: str, table: Sequence[ParameterRow], **arguments: Any) -> None:
        super().__init__(name, **arguments)
        self.parameters = NodeParameters(self, table)
        self.statistics = FrameStatistics()
        self._failure = ""
        self._logged_s: dict[str, float] = {}
        self._diagnostics_publisher = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        # A steady clock: with use_sim_time and a paused bag the node still says how it is.
        self._diagnostics_timer = self.create_timer(
            DIAGNOSTICS_PERIOD_S,
            self.publish_diagnostics,
            callback_group=MutuallyExclusiveCallbackGroup(),
            clock=Clock(clock_type=ClockType.STEADY_TIME),
        )
        backwards = JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=False)
        self._jump_handle = self.get_clock().create_jump_callback(backwards, post_callback=self.on_time_jump)
        self._autostart_timer = self.create_timer(0.0, self._autostart, clock=Clock(clock_type=ClockType.STEADY_TIME))

    # --- for subclasses

    def configure(self) -> None:
        """Load what is slow to load and create publishers; raise ConfigurationError with one sentence otherwise."""

    def activate(self) -> None:
        """Subscribe."""

    def deactivate(self) -> None:
        """Unsubscribe; keep what is loaded."""

    def cleanup(self) -> None:
        """Free everything; called from any state, also after a `configure` that stopped half-way."""

    def describe(self) -> tuple[dict[str, Any], list[DiagnosticStatus]]:
        """Values for the state's diagnostics, and further statuses."""
        return {}, []

    def on_time_jump(self, jump: TimeJump) -> None:
        """Forget what belongs to the time before; called when the node's clock goes back."""
        self.statistics.reset_history()

    # --- life cycle

    @property
    def state(self) -> str:
        """The life-cycle state: unconfigured, inactive, active, finalized, or the name of a transition."""
        return str(self._state_machine.current_state[1])

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run `configure`; on failure free everything and stay unconfigured."""
        if not self._attempt("configure"):
            self.cleanup()
            return FAILURE
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Enable the publishers, then run `activate`."""
        # In this order, so that the first message's results are not swallowed by a publisher that is still off.
        enabled = super().on_activate(state)
        if enabled == SUCCESS and not self._attempt("activate"):
            super().on_deactivate(state)
            return FAILURE
        return enabled

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run `deactivate` and disable the publishers."""
        self.deactivate()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run `cleanup`."""
        result = super().on_cleanup(state)
        self.cleanup()
        return result

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop from any state."""
        self.deactivate()
        self.cleanup()
        return SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free everything, so that the node can be configured again."""
        self.deactivate()
        self.cleanup()
        return SUCCESS

    def _attempt(self, step: str) -> bool:
        """Run `configure` or `activate`; remember, log and report why it failed."""
        try:
            getattr(self, step)()
        except ConfigurationError as error:
            self._failure = f"cannot {step}: {error}"
        except Exception as error:
            self._failure = f"cannot {step}: {type(error).__name__}: {error}"
        else:
            self._failure = ""
            return True
        self.get_logger().error(self._failure)
        self.publish_diagnostics()
        return False

    def _autostart(self) -> None:
        self._autostart_timer.cancel()
        if self.parameters["autostart"] and self.trigger_configure() == SUCCESS:
            self.trigger_activate()

    def close(self) -> None:
        """Stop, free everything and leave the graph."""
        self.deactivate()
        self.cleanup()
        self.destroy_node()

    # --- diagnostics

    def publish_diagnostics(self) -> None:
        """Say how the node is; called every second in every state, and at once when something failed."""
        array = DiagnosticArray()
        array.header.stamp = self.get_clock().now().to_msg()
        try:
            values, further = self.describe()
        except Exception as error:
            values, further = {"problem": f"{type(error).__name__}: {error}"}, []
        array.status = [state_status(self.get_fully_qualified_name(), self.state, self._failure, values), *further]
        self._diagnostics_publisher.publish(array)

    def warn(self, key: str, text: str) -> None:
        """Log a warning, at most one every few seconds for each key."""
        now_s = time.monotonic()
        if now_s - self._logged_s.get(key, -LOG_PERIOD_S) >= LOG_PERIOD_S:
            self._logged_s[key] = now_s
            self.get_logger().warning(text)

    def remember(self, name: str, value: Any) -> None:
        """Set one of the node's own parameters, so that it tells the truth after a change by other means."""
        self.set_parameters([Parameter(name, value=value)])

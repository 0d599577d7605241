"""What every node with a network has: the bundle that its parameters name, and a service that swaps it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup

from perception.bundle.format import CommonDescription
from perception.nodes.engine_slot import EngineSlot, describe_error
from perception.ros.diagnostics import OK, WARN, status
from perception.ros.node_base import ManagedNode
from perception_interfaces.srv import LoadBundle


class BundleService:
    """Loads the bundle that the parameters name, as they say, and offers `~/load_bundle`.

    The service works in a thread of the executor, while the node's worker goes on with the old network.

    Args:
        node: the node.
        slot: where its worker finds the network.
        task: what its networks do.
        accept: called with the description of every network before it becomes the node's; it may raise
            ConfigurationError to keep the old one, or none.
        announce: called between the last frame of an old network and the first of a new one; it may raise likewise.
    """

    def __init__(
        self,
        node: ManagedNode,
        slot: EngineSlot,
        task: str,
        accept: Callable[[CommonDescription], None],
        announce: Callable[[CommonDescription], None],
    ) -> None:
        self._node = node
        self._slot = slot
        self._task = task
        self._accept = accept
        self._announce = announce
        self._service = node.create_service(
            LoadBundle, "~/load_bundle", self._on_request, callback_group=MutuallyExclusiveCallbackGroup()
        )

    def configure(self) -> CommonDescription:
        """Load the bundle that the parameters name; errors as of `EngineSlot.load`."""
        return self._slot.load(self._node.parameters["bundle"], self._settings(), self._accept)

    def status(self) -> DiagnosticStatus:
        """What /diagnostics says about the network: WARN from a refused request until one that is not."""
        description, history = self._slot.description, self._slot.history
        name = "none" if description is None else description.name
        values: dict[str, Any] = {
            "network": name,
            "loaded": history.loaded,
            "refused": history.refused,
            "loading_time_ms": history.loading_ms,
        }
        is_refused = bool(history.problem) and description is not None
        message = self._refusal(history.problem, name) if is_refused else f"running '{name}'"
        if description is None:
            message = "no network is loaded"
        return status(f"{self._node.get_fully_qualified_name()}: network", WARN if is_refused else OK, message, values)

    def _settings(self) -> dict[str, Any]:
        parameters = self._node.parameters
        return {
            "device": parameters["device"],
            "threads": parameters["threads"] or None,
            "engine_cache": parameters["engine_cache"] or None,
            "engine_settings": parameters["engine_settings"] or None,
            "task": self._task,
        }

    def _on_request(self, request: LoadBundle.Request, response: LoadBundle.Response) -> LoadBundle.Response:
        old = self._slot.description
        if old is None:
            response.message = "the node is not configured: set its parameter 'bundle' and configure it"
            return response
        try:
            new = self._slot.load(request.bundle, self._settings(), self._swap)
        except Exception as error:
            response.message = self._refusal(describe_error(error), old.name)
            self._node.get_logger().error(response.message)
        else:
            self._node.remember("bundle", request.bundle)
            response.success = True
            response.message = (
                f"running '{new.name}' instead of '{old.name}', loaded in {self._slot.history.loading_ms * 1e-3:.1f} s"
            )
        self._node.publish_diagnostics()
        return response

    def _swap(self, description: CommonDescription) -> None:
        self._accept(description)
        self._announce(description)

    @staticmethod
    def _refusal(problem: str, stays: str) -> str:
        return f"{problem}; '{stays}' stays"

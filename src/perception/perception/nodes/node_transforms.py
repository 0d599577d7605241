"""tf as a node sees it: listened to once it may be needed, and waited for as long as a parameter says."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from perception.ros.node_base import ManagedNode
from perception.ros.patient_transforms import PatientTransforms
from perception.ros.transform_listener import TransformListener


class NodeTransforms:
    """The transforms that a node needs.

    Args:
        node: it has the parameter `max_transform_wait_ms`.
    """

    def __init__(self, node: ManagedNode) -> None:
        self._node = node
        self._listener: TransformListener | None = None
        self._patient = PatientTransforms(self._lookup)

    def find(self, target: str, source: str, stamp_ns: int, is_newest: bool = True) -> NDArray[np.float64]:
        """Find target_from_source at a time, float64 [4, 4]; only what is newest may still be on its way.

        Raises:
            TransformError: it is not known.
        """
        wait_s = self._node.parameters["max_transform_wait_ms"] * 1e-3 if is_newest else 0.0
        return self._patient.lookup(target, source, stamp_ns, wait_s)

    def clear(self) -> None:
        """Forget moving transforms, after a jump back in time."""
        listener = self._listener
        if listener is not None:
            listener.clear()

    def close(self) -> None:
        """Listen no more; a later `find` begins anew."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()

    def listen(self) -> None:
        """Begin to listen before the first need, so that what the first cloud needs is known by then."""
        if self._listener is None:
            self._listener = TransformListener(self._node)

    def _lookup(self, target: str, source: str, stamp_ns: int) -> NDArray[np.float64]:
        self.listen()
        assert self._listener is not None
        return self._listener.lookup(target, source, stamp_ns)

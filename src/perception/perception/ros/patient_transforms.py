"""Transforms that may still be on their way when the cloud that needs them is already there."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from perception.data.transforms import TransformError

POLL_S = 0.001
#: After a wait in vain, look-ups do not wait for this long: a frame that nobody publishes costs no time.
RESIGNED_S = 1.0

#: target, source and stamp (ns) -> target_from_source, float64 [4, 4]; raises TransformError.
Lookup = Callable[[str, str, int], NDArray[np.float64]]


class PatientTransforms:
    """Looks up transforms, and waits a moment for those that are not known yet.

    Args:
        lookup: how they are looked up; does not wait.
        now_s, sleep: a steady clock.
    """

    def __init__(
        self,
        lookup: Lookup,
        now_s: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._lookup = lookup
        self._now_s = now_s
        self._sleep = sleep
        self._resigned_until_s = -np.inf

    def lookup(self, target: str, source: str, stamp_ns: int, wait_s: float = 0.0) -> NDArray[np.float64]:
        """Find target_from_source at a time, float64 [4, 4]; waits at most `wait_s`.

        Raises:
            TransformError: still not known then.
        """
        start_s = self._now_s()
        deadline_s = start_s + (wait_s if start_s >= self._resigned_until_s else 0.0)
        while True:
            try:
                return self._lookup(target, source, stamp_ns)
            except TransformError:
                if self._now_s() >= deadline_s:
                    if deadline_s > start_s:
                        self._resigned_until_s = self._now_s() + RESIGNED_S
                    raise
            self._sleep(POLL_S)

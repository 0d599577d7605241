"""The network of a running node: loaded, swapped and freed without disturbing a frame."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from rclpy.impl.rcutils_logger import RcutilsLogger

from perception.bundle.format import BundleDescription
from perception.configuration import ConfigurationError
from perception.runtime import Engine
from perception.types import Frame, LabelledCloud

EngineLoader = Callable[[str, str], Engine]


class EngineSlot:
    """Holds one engine, or none.

    Args:
        loader: (bundle, device) -> engine, usually `perception.runtime.load_engine`.
        logger: the node's.
    """

    def __init__(self, loader: EngineLoader, logger: RcutilsLogger) -> None:
        self._loader = loader
        self._logger = logger
        self._engine: Engine | None = None
        # Held during `forward`: a swap waits for the frame at hand.
        self._lock = threading.Lock()

    @property
    def description(self) -> BundleDescription | None:
        """What is loaded, None when nothing is."""
        engine = self._engine
        return None if engine is None else engine.description

    def load(self, bundle: str, device: str) -> BundleDescription:
        """Load and warm up a bundle, then replace the one that is loaded; on failure that one stays.

        Raises:
            ConfigurationError: from the loader.
            Exception: whatever else an engine's start raises.
        """
        started_s = time.perf_counter()
        self._logger.info(f"loading bundle '{bundle}'")
        engine = self._loader(bundle, device)
        engine.warm_up()
        self._replace(engine)
        self._logger.info(f"loaded '{engine.description.name}' in {time.perf_counter() - started_s:.1f} s")
        return engine.description

    def forward(self, frame: Frame) -> tuple[LabelledCloud, BundleDescription]:
        """Run the network; also returns which one it was.

        Raises:
            ConfigurationError: nothing is loaded.
        """
        with self._lock:
            if self._engine is None:
                raise ConfigurationError("no bundle is loaded; configure the node")
            return self._engine.forward(frame), self._engine.description

    def close(self) -> None:
        """Free the engine."""
        self._replace(None)

    def _replace(self, engine: Engine | None) -> None:
        with self._lock:
            old, self._engine = self._engine, engine
        if old is not None:
            old.close()

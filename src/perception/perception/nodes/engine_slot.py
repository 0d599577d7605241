"""The network of a running node: loaded, swapped and freed without disturbing a frame."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

from rclpy.impl.rcutils_logger import RcutilsLogger

from perception.bundle.format import CommonDescription
from perception.configuration import ConfigurationError
from perception.nodes.memory import give_back_freed_memory
from perception.runtime import Engine
from perception.runtime.engine import Task


class EngineStarter(Protocol):
    """Loads a bundle and shows that it works, or raises; usually `perception.runtime.start_engine`."""

    def __call__(
        self,
        bundle: str,
        device: str = "cpu",
        threads: int | None = None,
        engine_cache: str | None = None,
        engine_settings: str | None = None,
        task: Task | None = None,
    ) -> Engine:
        """Start the network of a bundle."""


@dataclass(frozen=True)
class LoadHistory:
    """What became of the requests to load a bundle.

    Attributes:
        loaded: how many were loaded.
        refused: how many were not, while another network was there and stayed.
        loading_ms: how long the last one that was loaded took.
        problem: why the last request was refused; empty where it was not.
    """

    loaded: int = 0
    refused: int = 0
    loading_ms: float = 0.0
    problem: str = ""


class EngineSlot:
    """Holds one engine, or none.

    Args:
        start: gives an engine that works.
        logger: the node's.

    Attributes:
        history: what became of the requests to load.
    """

    def __init__(self, start: EngineStarter, logger: RcutilsLogger) -> None:
        self.history = LoadHistory()
        self._start = start
        self._logger = logger
        self._engine: Engine | None = None
        # Held from the beginning of a frame to its publication: a swap waits for the frame at hand.
        self._frame_lock = threading.Lock()
        # Whoever wants the other lock passes here first. Without it, a worker that always has a next frame would take
        # the lock again before a waiting swap wakes up.
        self._turnstile = threading.Lock()

    @property
    def description(self) -> CommonDescription | None:
        """What is loaded, None when nothing is."""
        engine = self._engine
        return None if engine is None else engine.description

    def load(
        self,
        bundle: str,
        settings: Mapping[str, Any],
        on_swap: Callable[[CommonDescription], None] = lambda description: None,
    ) -> CommonDescription:
        """Start a bundle's network, then replace the one that is loaded; on failure that one stays.

        Args:
            bundle: as the starter takes it.
            settings: the starter's further arguments.
            on_swap: called between two frames, the last one of the old network and the first one of the new; when it
                raises, the old network stays.

        Raises:
            ConfigurationError: from the starter.
            Exception: whatever else an engine's start, or `on_swap`, raises.
        """
        started_s = time.perf_counter()
        self._logger.info(f"loading bundle '{bundle}'")
        try:
            engine = self._start(bundle, **settings)
            self._swap(engine, on_swap)
        except Exception as error:
            stays = int(self._engine is not None)
            self.history = replace(self.history, refused=self.history.refused + stays, problem=describe_error(error))
            raise
        loading_ms = (time.perf_counter() - started_s) * 1e3
        self.history = replace(self.history, loaded=self.history.loaded + 1, loading_ms=loading_ms, problem="")
        self._logger.info(f"loaded '{engine.description.name}' in {loading_ms * 1e-3:.1f} s")
        return engine.description

    @contextmanager
    def frame(self) -> Iterator[Engine]:
        """Give the engine for one frame; until the block ends, it stays the node's network.

        Raises:
            ConfigurationError: nothing is loaded.
        """
        with self._between_frames():
            if self._engine is None:
                raise ConfigurationError("no bundle is loaded; configure the node")
            yield self._engine

    def close(self) -> None:
        """Free the engine."""
        with self._between_frames():
            old, self._engine = self._engine, None
        if old is not None:
            old.close()

    def _swap(self, engine: Engine, on_swap: Callable[[CommonDescription], None]) -> None:
        try:
            with self._between_frames():
                on_swap(engine.description)
                old, self._engine = self._engine, engine
        except BaseException:
            engine.close()
            raise
        if old is not None:
            old.close()
        del old  # the last that holds its weights
        give_back_freed_memory()

    @contextmanager
    def _between_frames(self) -> Iterator[None]:
        with self._turnstile:
            self._frame_lock.acquire()
        try:
            yield
        finally:
            self._frame_lock.release()


def describe_error(error: Exception) -> str:
    """One line for people; what they cannot mend is named with its type."""
    return str(error) if isinstance(error, ConfigurationError) else f"{type(error).__name__}: {error}"

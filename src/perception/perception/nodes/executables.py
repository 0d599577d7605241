"""Running nodes in a process that ends cleanly on SIGINT and SIGTERM."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Sequence

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.signals import SignalHandlerOptions

from perception.configuration import ConfigurationError
from perception.nodes.memory import keep_freed_memory
from perception.ros.executor import JoiningExecutor
from perception.ros.middleware import prepare_environment
from perception.ros.node_base import SUCCESS, ManagedNode

#: A node may at the same time change state, load a bundle, receive, and publish diagnostics.
THREADS_PER_NODE = 4


def run_nodes(
    factories: Sequence[Callable[[], ManagedNode]], arguments: list[str] | None = None, build_only: bool = False
) -> int:
    """Create nodes, run them in one executor until a signal comes, and return the process's exit code.

    Args:
        factories: each makes one node.
        arguments: the command line with its ROS arguments; None: that of the process.
        build_only: configure every node once, so that what its network needs is built and tried, and end.

    Returns:
        0 after SIGINT or SIGTERM, 1 when a callback raised, 2 when a parameter or argument is wrong, or a node cannot
        be configured where it should only build.
    """
    stop = threading.Event()
    # Our own handlers: rclpy's would shut the context down under the nodes' feet. A build is ended by the default ones.
    for number in () if build_only else (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    prepare_environment()
    keep_freed_memory()
    try:
        nodes = _start(factories, arguments)
    except (ParameterException, ConfigurationError) as error:
        print(f"cannot start: {error}", file=sys.stderr)
        rclpy.try_shutdown()
        return 2
    code = _build(nodes) if build_only else int(_spin_until(stop, nodes))
    for node in nodes:
        node.close()
    rclpy.try_shutdown()
    return code


def _build(nodes: Sequence[ManagedNode]) -> int:
    """Configure every node, though one before it may fail; it logs itself what it built or why it cannot."""
    results = [node.trigger_configure() for node in nodes]
    return 0 if all(result == SUCCESS for result in results) else 2


def _start(factories: Sequence[Callable[[], ManagedNode]], arguments: list[str] | None) -> list[ManagedNode]:
    try:
        rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
    except RuntimeError as error:
        # rcl's own text: what it found and where, then its source files.
        raise ConfigurationError(str(error).partition(", at /")[0]) from None
    return [factory() for factory in factories]


def _spin_until(stop: threading.Event, nodes: Sequence[ManagedNode]) -> bool:
    """Spin in a thread of its own until `stop`; returns whether a callback raised.

    The main thread only waits: Python delivers signals there, and nowhere else.
    """
    failures: list[BaseException] = []

    def fail(error: BaseException) -> None:
        failures.append(error)
        stop.set()

    executor = JoiningExecutor(THREADS_PER_NODE * len(nodes), fail)
    for node in nodes:
        executor.add_node(node)
    thread = threading.Thread(target=_spin, args=(executor, stop), name="executor")
    thread.start()
    stop.wait()
    executor.wake()
    thread.join()
    executor.shutdown()
    return bool(failures)


def _spin(executor: JoiningExecutor, stop: threading.Event) -> None:
    while not stop.is_set():
        executor.spin_once()

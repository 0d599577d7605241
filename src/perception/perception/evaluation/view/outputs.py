"""Where a viewer's data goes: a window here, a browser anywhere, or a file."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from perception.configuration import ConfigurationError

APPLICATION = "perception"
#: Rerun's own.
WEB_PORT, DATA_PORT = 9090, 9876


def new_recording(name: str) -> Any:
    """Make a rerun.RecordingStream that goes nowhere yet.

    Raises:
        ConfigurationError: rerun is not installed.
    """
    try:
        import rerun
    except ImportError:
        raise ConfigurationError(
            "perception view needs the viewer rerun: pip install 'rerun-sdk<0.40' (requirements.lock has it)"
        ) from None
    recording = rerun.RecordingStream(APPLICATION)
    recording.send_recording_name(name)
    return recording


def save(recording: Any, path: Path) -> None:
    """Write a file that `rerun FILE.rrd` and https://rerun.io/viewer open.

    Raises:
        ConfigurationError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        recording.save(path)
    except (OSError, RuntimeError) as error:
        raise ConfigurationError(f"--save {path}: cannot be written ({error})") from None


def open_window(recording: Any) -> None:
    """Start the viewer on this machine's screen, and send to it.

    Raises:
        ConfigurationError: there is no screen.
    """
    require_screen("--serve and open the page in a browser, or --save FILE.rrd")
    recording.spawn()


def require_screen(instead: str) -> None:
    """Check that windows can be opened.

    Raises:
        ConfigurationError: there is no screen; the sentence ends with what to add `instead`.
    """
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise ConfigurationError(f"no screen here: add {instead}")


def serve(recording: Any, web_port: int, data_port: int, memory: str, live: bool) -> Sequence[str]:
    """Serve the viewer as a web page, and what is sent to it; returns the pages' addresses.

    Args:
        recording: what to serve.
        web_port: of the page.
        data_port: of the data, to which the browser connects too.
        memory: what is kept for browsers that come later, such as 1GiB; then the oldest goes.
        live: late browsers are given the newest first.

    Raises:
        ConfigurationError: a port is taken, or `memory` is no size.
    """
    import rerun

    for port in (web_port, data_port):
        _require_free(port)
    # The page comes from another port than the data, under whatever name the robot has in the browser's network.
    limits = {"server_memory_limit": memory, "newest_first": live}
    try:
        recording.serve_grpc(grpc_port=data_port, cors_allow_origin=["*"], **limits)
    except RuntimeError as error:
        raise ConfigurationError(f"--serve: {error}") from None
    rerun.serve_web_viewer(web_port=web_port, open_browser=False)
    return [
        f"http://{host}:{web_port}/?url=rerun%2Bhttp://{host}:{data_port}/proxy"
        for host in ("localhost", *_addresses())
    ]


def _require_free(port: int) -> None:
    with socket.socket() as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind(("", port))
        except OSError:
            raise ConfigurationError(f"port {port} is taken: give others with --port and --data-port") from None


def _addresses() -> list[str]:
    """This machine's IPv4 addresses in networks."""
    families = [address for addresses in psutil.net_if_addrs().values() for address in addresses]
    found = [address.address for address in families if address.family == socket.AF_INET]
    return [address for address in found if not address.startswith("127.")]

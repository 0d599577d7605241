"""A ROS graph of one's own: a robot that runs beside it must not drive on clouds of another time."""

from __future__ import annotations

import os
import socket

from perception.bringup.graph.children import GraphError

#: Safe on every platform beside its ephemeral ports (ROS 2 documentation, "The ROS_DOMAIN_ID").
DOMAIN_IDS = range(1, 101)


def isolated_environment() -> dict[str, str]:
    """Variables for a graph on this host alone, in a domain that nobody here uses.

    Raises:
        GraphError: every domain is in use.
    """
    return {"ROS_DOMAIN_ID": str(free_domain_id()), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}


def free_domain_id() -> int:
    """A domain without participants on this host, sought from a place that depends on this process.

    Raises:
        GraphError: there is none.
    """
    first = os.getpid() % len(DOMAIN_IDS)
    for domain_id in (*DOMAIN_IDS[first:], *DOMAIN_IDS[:first]):
        if _is_free(discovery_port(domain_id)):
            return domain_id
    raise GraphError("every ROS domain from 1 to 100 is in use on this machine: end some of its ROS 2 processes")


def discovery_port(domain_id: int) -> int:
    """The port at which the first participant of a domain listens for others (RTPS 2.2, 9.6.1.1)."""
    return 7400 + 250 * domain_id + 10


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True

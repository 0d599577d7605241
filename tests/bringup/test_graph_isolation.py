"""The demo's graph meets no other."""

import socket

import pytest
import rclpy

from perception.bringup.graph import isolation
from perception.bringup.graph.children import GraphError
from perception.bringup.graph.isolation import discovery_port, free_domain_id, isolated_environment


def test_a_domain_in_use_is_passed_over():
    wanted = free_domain_id()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("", discovery_port(wanted)))
        assert free_domain_id() != wanted


def test_a_ros_node_occupies_its_domain():
    domain_id = free_domain_id()
    context = rclpy.Context()
    context.init(args=[], domain_id=domain_id)
    node = rclpy.create_node("occupant", context=context)
    try:
        assert free_domain_id() != domain_id
    finally:
        node.destroy_node()
        context.shutdown()


def test_no_domain_left_is_said(monkeypatch):
    monkeypatch.setattr(isolation, "_is_free", lambda port: False)
    with pytest.raises(GraphError, match="every ROS domain"):
        free_domain_id()


def test_the_graph_stays_on_this_host():
    environment = isolated_environment()
    assert environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
    assert 1 <= int(environment["ROS_DOMAIN_ID"]) <= 100

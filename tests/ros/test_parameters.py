"""The parameter tables: what a node declares, what it refuses, and what the README says about it."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator

import pytest
import rclpy
from rclpy.parameter import Parameter

from perception.configuration import ConfigurationError
from perception.ros.parameter_tables import TABLES
from perception.ros.parameters import NodeParameters, ParameterRow, markdown_table
from perception.ros.parameters_command import run, with_tables

TABLE = (
    ParameterRow("rate_hz", 10.0, "How often.", minimum=1.0, maximum=20.0),
    ParameterRow("count", 3, "How many.", minimum=0, maximum=5),
    ParameterRow("mode", "fast", "How.", choices=("fast", "slow"), takes_effect="on activate"),
    ParameterRow("names", ("",), "Which."),
    ParameterRow("fixed", True, "Never changes.", takes_effect="at start"),
)


@pytest.fixture
def node() -> Iterator[rclpy.node.Node]:
    context = rclpy.Context()
    rclpy.init(context=context, signal_handler_options=rclpy.SignalHandlerOptions.NO)
    node = rclpy.create_node("parameters", context=context)
    yield node
    node.destroy_node()
    context.shutdown()


def set_parameter(node, name, value):
    return node.set_parameters([Parameter(name, value=value)])[0]


def test_defaults_are_declared_with_their_types(node):
    parameters = NodeParameters(node, TABLE)

    assert [parameters[row.name] for row in TABLE] == [10.0, 3, "fast", [""], True]
    assert parameters.names("names") == ()
    assert set_parameter(node, "names", ["road", ""]).successful
    assert parameters.names("names") == ("road",)


@pytest.mark.parametrize(
    ("name", "value"),
    [("rate_hz", 0.5), ("rate_hz", 21.0), ("rate_hz", "often"), ("count", 6), ("mode", "sideways"), ("fixed", False)],
)
def test_wrong_values_are_refused_and_change_nothing(node, name, value):
    parameters = NodeParameters(node, TABLE)
    before = parameters[name]

    result = set_parameter(node, name, value)

    assert not result.successful
    assert result.reason
    assert parameters[name] == before


def test_values_change_at_run_time(node):
    parameters = NodeParameters(node, TABLE)

    assert set_parameter(node, "mode", "slow").successful
    assert set_parameter(node, "rate_hz", 20.0).successful
    assert (parameters["mode"], parameters["rate_hz"]) == ("slow", 20.0)


def test_descriptors_say_what_the_table_says(node):
    NodeParameters(node, TABLE)

    rate, mode, fixed = (node.describe_parameter(name) for name in ("rate_hz", "mode", "fixed"))
    assert (rate.floating_point_range[0].from_value, rate.floating_point_range[0].to_value) == (1.0, 20.0)
    assert mode.additional_constraints == "fast, slow"
    assert mode.description == "How. Takes effect on activate."
    assert fixed.read_only


@pytest.mark.parametrize("node_name", sorted(TABLES))
def test_every_row_is_complete_and_its_default_allowed(node, node_name):
    table = TABLES[node_name]
    NodeParameters(node, table)

    assert len({row.name for row in table}) == len(table)
    for row in table:
        assert row.description.endswith(".")
        assert row.takes_effect in ("at once", "on activate", "on configure", "at start")
        assert (row.minimum is None) == (row.maximum is None)


def test_readme_tables_are_up_to_date(top):
    readme = top / "README.md"

    text = readme.read_text()

    assert with_tables(text, readme) == text, "run: perception parameters --write README.md"


def test_a_stale_table_is_noticed_and_mended(tmp_path):
    stale = "before\n<!-- parameters:segmentation -->\n| old |\n<!-- /parameters -->\nafter\n"
    file = tmp_path / "README.md"
    file.write_text(stale)

    assert run(Namespace(node="segmentation", write=file)) == 0

    table = markdown_table(TABLES["segmentation"])
    fresh = f"before\n<!-- parameters:segmentation -->\n{table}<!-- /parameters -->\nafter\n"
    assert file.read_text() == fresh
    assert with_tables(fresh, file) == fresh


@pytest.mark.parametrize("text", ["no markers", "<!-- parameters:nobody -->\n<!-- /parameters -->"])
def test_a_file_without_a_place_for_the_table_is_one_line(text):
    with pytest.raises(ConfigurationError, match=r"README\.md: "):
        with_tables(text, "README.md")


def test_the_command_prints_the_table(capsys):
    assert run(Namespace(node="segmentation", write=None)) == 0
    assert capsys.readouterr().out == markdown_table(TABLES["segmentation"])

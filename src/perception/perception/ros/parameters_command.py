"""`perception parameters`: a node's parameters as the Markdown table that the README shows."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from perception.configuration import ConfigurationError
from perception.ros.parameter_tables import TABLES
from perception.ros.parameters import markdown_table

#: The table of a node stands between these two lines of a file.
SECTION = re.compile(r"(<!-- parameters:(?P<node>\w+) -->\n).*?(<!-- /parameters -->)", re.DOTALL)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("--node", choices=sorted(TABLES), default="segmentation", help="whose parameters")
    parser.add_argument(
        "--write", type=Path, metavar="FILE", help="bring the tables between the markers of FILE up to date"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the table, or write it into a file.

    Raises:
        ConfigurationError: the file to write cannot be read, or has no markers.
    """
    if arguments.write is None:
        print(markdown_table(TABLES[arguments.node]), end="")
        return 0
    try:
        text = arguments.write.read_text()
    except OSError as error:
        raise ConfigurationError(f"{arguments.write}: cannot be read ({error.strerror})") from None
    arguments.write.write_text(with_tables(text, arguments.write))
    return 0


def with_tables(text: str, source: str | Path) -> str:
    """The text with every marked table made anew.

    Raises:
        ConfigurationError: no markers, or a marker that names no node.
    """
    nodes = [match["node"] for match in SECTION.finditer(text)]
    unknown = sorted(set(nodes) - set(TABLES))
    if not nodes or unknown:
        wanted = "a line <!-- parameters:segmentation --> and, below it, a line <!-- /parameters -->"
        raise ConfigurationError(f"{source}: {f'no node {unknown[0]}' if unknown else f'needs {wanted}'}")
    return SECTION.sub(lambda match: match[1] + markdown_table(TABLES[match["node"]]) + match[3], text)

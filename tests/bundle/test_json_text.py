"""JSON is read strictly."""

from __future__ import annotations

import pytest

from perception.bundle.json_text import parse_json
from perception.configuration import ConfigurationError


def test_what_json_means() -> None:
    expected = {"a": [1, -2.5, True, None], "b": {"c": "ä"}}
    assert parse_json('{"a": [1, -2.5, true, null], "b": {"c": "ä"}}'.encode(), "graph") == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "not valid JSON in line 1"),
        (b'{"a": 1', "not valid JSON in line 1"),
        (b'{"a": 1}\n{', "not valid JSON in line 2"),
        (b'{"a": 1, "b": {"c": 1, "c": 2}}', "the key 'c' stands in it twice"),
        (b'{"a": NaN}', "NaN is not a number"),
        (b'{"a": -Infinity}', "-Infinity is not a number"),
        (b'{"a": 1e999}', "the number '1e999' is too large"),
        (b"9" * 20, "is too large"),
        (b"9" * 10_000, "is too large"),
        (b"\xff\xfe{\x00}\x00", "not UTF-8 text"),
        (b"\xef\xbb\xbf{}", "not valid JSON"),
        (b'"' + b"\x00" + b'"', "not valid JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
    ],
)
def test_what_is_refused(content: bytes, expected: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^graph: ") as caught:
        parse_json(content, "graph")
    assert expected in str(caught.value)
    assert str(caught.value).endswith("; export the bundle again")
    assert len(str(caught.value)) < 150

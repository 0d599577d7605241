"""What the tests of damaged bundles share."""

from __future__ import annotations

from pathlib import Path

import pytest

from perception.bundle.loading import load_bundle
from perception.configuration import ConfigurationError


def refusal(folder: Path) -> str:
    """The one sentence with which a bundle is refused, without its folder."""
    with pytest.raises(ConfigurationError) as caught:
        load_bundle(folder)
    return sentence(caught.value, folder)


def sentence(error: ConfigurationError, folder: Path) -> str:
    """The message of a refusal, which must name a file of the bundle and fit on a screen."""
    message = str(error)
    assert message.startswith(f"{folder}")
    assert message.isprintable()
    assert 10 < len(message.replace(str(folder), "")) < 600
    return message.removeprefix(f"{folder}/")

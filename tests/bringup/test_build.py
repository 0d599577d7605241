"""Networks that are built ahead: the exit code and the sentence."""

from __future__ import annotations

import sys

import pytest

from perception.bringup import build
from perception.configuration import ConfigurationError


class Network:
    """Stands in for an engine, and for its description."""

    def __init__(self, name):
        self.name, self.description, self.is_closed = name, self, False

    def close(self):
        self.is_closed = True


def run(monkeypatch, start, *words):
    monkeypatch.setattr(build, "start_engine", start)
    monkeypatch.setattr(sys, "argv", ["build", *words])
    return build.main()


def test_every_bundle_is_started_and_closed(monkeypatch, capsys):
    networks, devices = [], []

    def start(bundle, device):
        networks.append(Network(bundle))
        devices.append(device)
        return networks[-1]

    assert run(monkeypatch, start, "one", "two", "--device", "cuda") == 0
    assert all(network.is_closed for network in networks)
    assert devices == ["cuda", "cuda"]
    printed = capsys.readouterr().out.splitlines()
    assert [line.partition(" (")[0] for line in printed] == ["one is ready on cuda", "two is ready on cuda"]


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ConfigurationError("one: fails its self-check"), "build: one: fails its self-check"),
        (RuntimeError("no kernel"), "build: one: does not run on cpu: RuntimeError: no kernel"),
    ],
)
def test_what_does_not_work_is_one_sentence_and_code_2(monkeypatch, capsys, error, sentence):
    def start(bundle, device):
        raise error

    assert run(monkeypatch, start, "one", "two") == 2
    assert capsys.readouterr().err == f"{sentence}\n"

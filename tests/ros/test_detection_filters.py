"""What is published of what is found, changed while the node runs; and other bundles for a running node."""

from __future__ import annotations

import pytest
from clouds import some_points, stamped
from detection import NETWORK, NODE, STATE, classes_of, connect, start_stub
from diagnostic_msgs.msg import DiagnosticStatus
from processes import START_TIMEOUT_S, NodeProcess, wait_until
from support import LATCHED
from vision_msgs.msg import LabelInfo

from perception_interfaces.srv import LoadBundle

pytestmark = pytest.mark.ros


def load(graph, bundle):
    return graph.call(LoadBundle, f"{NODE}/load_bundle", LoadBundle.Request(bundle=bundle))


def message_of(graph, status):
    """What a status says; nothing before it has been heard of."""
    return (graph.diagnostic(status) or DiagnosticStatus()).message


class Asking:
    """Publishes the same cloud again and again, and tells which classes come out."""

    def __init__(self, graph) -> None:
        self.graph = graph
        self.publisher, outputs = connect(graph)
        self.objects = outputs["objects"]
        self.sent = 0

    def __call__(self) -> list[str]:
        self.sent += 1
        self.publisher.publish(stamped(some_points(), self.sent))
        return classes_of(self.objects.wait_for(self.sent)[-1])

    def set(self, name, value) -> str:
        """Set a parameter; the reason why it was refused, or nothing."""
        result = self.graph.set_parameter(NODE, name, value)
        assert result.successful == (result.reason == "")
        return result.reason


def test_thresholds_and_classes_change_at_run_time(graph, tmp_path):
    with start_stub(tmp_path):
        ask = Asking(graph)
        assert ask() == ["car", "lamp"]
        for name, value, expected in [
            ("min_score", 0.5, ["car"]),
            ("class_min_scores", ["lamp=0.3"], ["car", "lamp"]),
            ("class_min_scores", ["lamp=0.3", "car=0.95"], ["lamp"]),
            ("class_min_scores", [""], ["car"]),
            ("min_score", 0.0, ["car", "lamp"]),
            ("classes", ["lamp"], ["lamp"]),
            ("classes", [""], ["car", "lamp"]),
            ("max_range_m", 29.0, ["car"]),
            ("max_range_m", 0.0, ["car", "lamp"]),
        ]:
            assert ask.set(name, value) == ""
            assert ask() == expected, f"{name} = {value}"


def test_wrong_values_are_refused_with_a_sentence_and_change_nothing(graph, tmp_path):
    with start_stub(tmp_path) as node:
        ask = Asking(graph)
        ask()
        for name, value, sentence in [
            ("min_score", 1.5, "min_score"),
            ("min_score", -0.1, "min_score"),
            ("max_range_m", -1.0, "max_range_m"),
            ("palette", "rainbow", "palette: 'rainbow' is not one of bundle, color_blind"),
            ("classes", ["tram"], "classes: 'stub' has no class 'tram' (it has: car, lamp)"),
            ("class_min_scores", ["tram=0.5"], "class_min_scores: 'stub' has no class 'tram' (it has: car, lamp)"),
            ("class_min_scores", ["car=2"], "class_min_scores: 'car=2': write a class and a score from 0 to 1"),
            ("class_min_scores", ["car"], "class_min_scores: 'car': write a class and a score from 0 to 1"),
        ]:
            assert sentence in ask.set(name, value)
            assert ask() == ["car", "lamp"]
        assert "Traceback" not in node.output()


def test_a_class_that_the_network_does_not_have_fails_configure(graph, tmp_path):
    sentence = "cannot configure: classes: 'stub' has no class 'tram' (it has: car, lamp)"
    with start_stub(tmp_path, classes="[tram]"):
        wait_until(
            lambda: (graph.diagnostic(STATE) or DiagnosticStatus()).message.startswith(sentence),
            sentence,
            START_TIMEOUT_S,
        )
        assert graph.state(NODE) == "unconfigured"
        assert graph.set_parameter(NODE, "classes", ["car"]).successful
        assert graph.change_state(NODE, "configure")


def test_another_network_is_announced_with_its_classes(graph, tmp_path):
    with start_stub(tmp_path):
        ask = Asking(graph)
        labels = graph.collect(LabelInfo, f"{NODE}/label_info", LATCHED)
        labels.wait_for(1)
        assert ask() == ["car", "lamp"]
        assert load(graph, "other").success
        names = [[one.class_name for one in info.class_map] for info in labels.wait_for(2)]
        assert names == [["car", "lamp"], ["lorry", "tram", "lamp"]]
        assert ask() == ["lorry", "tram"]
        graph.wait_for_diagnostic(STATE, "network", "other")


@pytest.mark.parametrize(
    ("bundle", "reason"),
    [
        ("other", "classes: 'other' has no class 'car' (it has: lorry, tram, lamp); change that parameter first"),
        ("narrow", "'narrow' takes 6 features of a point, but its bundle.yaml names 4 (x, y, z, intensity)"),
        ("missing", "no bundle 'missing'"),
    ],
)
def test_a_network_that_does_not_fit_is_refused_and_the_old_one_stays(graph, tmp_path, bundle, reason):
    with start_stub(tmp_path, classes="[car]"):
        ask = Asking(graph)
        answer = load(graph, bundle)
        assert not answer.success
        assert reason in answer.message
        assert answer.message.endswith("'stub' stays")
        assert ask() == ["car"]
        graph.wait_for_diagnostic(NETWORK, "refused", "1")


@pytest.mark.parametrize(
    ("module", "node", "bundle", "sentence"),
    [
        ("perception.nodes.detection", "/detection", "spvcnn_street", "the network is for segmentation; name a bundle"),
    ],
)
def test_a_bundle_of_another_task_is_refused_with_one_sentence(graph, tmp_path, module, node, bundle, sentence):
    with NodeProcess(module, tmp_path / "log", {"bundle": bundle, "autostart": True}) as process:
        state = f"{node}: state"
        wait_until(
            lambda: sentence in (graph.diagnostic(state) or DiagnosticStatus()).message, sentence, START_TIMEOUT_S
        )
        assert graph.diagnostic(state).level == DiagnosticStatus.ERROR
        assert graph.state(node) == "unconfigured"
        assert "Traceback" not in process.output()

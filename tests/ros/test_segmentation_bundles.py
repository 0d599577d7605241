"""Other bundles for a running node process: swapped between two frames, or refused."""

from __future__ import annotations

import threading

import pytest
from clouds import make_cloud, some_points, stamped
from diagnostic_msgs.msg import DiagnosticStatus
from processes import wait_until
from segmentation import FRAMES, NETWORK, NODE, STATE, connect, start_stub
from support import LATCHED
from vision_msgs.msg import LabelInfo

from perception_interfaces.srv import LoadBundle

pytestmark = pytest.mark.ros


def load(graph, bundle):
    return graph.call(LoadBundle, f"{NODE}/load_bundle", LoadBundle.Request(bundle=bundle))


def load_meanwhile(graph, bundle):
    """Ask for a bundle in a thread; returns the thread and the list that the answer comes into."""
    answers = []
    thread = threading.Thread(target=lambda: answers.append(load(graph, bundle)))
    thread.start()
    return thread, answers


@pytest.mark.parametrize(
    ("bad", "reason"),
    [("missing", "no bundle"), ("broken", "RuntimeError: no such kernel"), ("lying", "fails its self-check")],
)
def test_a_bundle_that_does_not_work_is_refused_and_the_old_one_stays(graph, tmp_path, bad, reason):
    with start_stub(tmp_path) as node:
        publisher, outputs = connect(graph)
        labels = graph.collect(LabelInfo, f"{NODE}/label_info", LATCHED)
        answer = load(graph, bad)
        assert not answer.success
        assert reason in answer.message
        assert answer.message.endswith("'stub' stays")
        graph.wait_for_diagnostic(NETWORK, "refused", "1")
        assert graph.diagnostic(NETWORK).level == DiagnosticStatus.WARN
        assert graph.diagnostic(NETWORK).message == answer.message
        assert graph.diagnostic_values(STATE)["bundle"] == "stub"
        publisher.publish(make_cloud(some_points()))
        outputs["segmentation"].wait_for(1)
        assert len(labels.wait_for(1)) == 1
        assert "Traceback" not in node.output()
        assert load(graph, "other").success
        wait_until(lambda: graph.diagnostic(NETWORK).level == DiagnosticStatus.OK, "the warning to end")


def test_another_network_is_announced_with_its_labels(graph, tmp_path):
    with start_stub(tmp_path):
        publisher, outputs = connect(graph)
        labels = graph.collect(LabelInfo, f"{NODE}/label_info", LATCHED)
        labels.wait_for(1)
        answer = load(graph, "other")
        assert answer.success
        assert answer.message.startswith("running 'other' instead of 'stub', loaded in ")
        names = [[one.class_name for one in info.class_map] for info in labels.wait_for(2)]
        assert names == [["low", "high"], ["down", "up"]]
        graph.wait_for_diagnostic(STATE, "network", "other")
        assert graph.diagnostic_values(STATE)["bundle"] == "other"
        publisher.publish(make_cloud(some_points()))
        outputs["segmentation"].wait_for(1)


def test_frames_go_on_with_the_old_network_while_the_new_one_loads(graph, tmp_path):
    gate = tmp_path / "gate"
    with start_stub(tmp_path):
        publisher, outputs = connect(graph)
        thread, answers = load_meanwhile(graph, f"slow:{gate}")
        for count in range(1, 11):
            publisher.publish(stamped(some_points(), count))
            outputs["segmentation"].wait_for(count)
        assert not answers
        assert graph.diagnostic_values(STATE)["network"] == "stub"
        gate.touch()
        thread.join(20)
        assert answers[0].success
        graph.wait_for_diagnostic(FRAMES, "out", "10")
        assert graph.diagnostic_values(FRAMES)["dropped"] == "0"


def test_the_frame_at_hand_is_finished_and_the_waiting_one_kept(graph, tmp_path):
    gate = tmp_path / "gate"
    with start_stub(tmp_path, bundle=f"gate:{gate}"):
        publisher, outputs = connect(graph)
        labels = graph.collect(LabelInfo, f"{NODE}/label_info", LATCHED)
        labels.wait_for(1)
        for count in (1, 2):
            publisher.publish(stamped(some_points(), count))
            graph.wait_for_diagnostic(FRAMES, "in", str(count))
        thread, answers = load_meanwhile(graph, "other")
        wait_until(lambda: "loading bundle 'other'" in (tmp_path / "node.log").read_text(), "the node to load")
        assert len(labels) == 1
        assert not answers
        gate.touch()
        thread.join(20)
        assert answers[0].success
        assert [cloud.header.stamp.sec for cloud in outputs["segmentation"].wait_for(2)] == [1, 2]
        graph.wait_for_diagnostic(FRAMES, "out", "2")
        assert graph.diagnostic_values(FRAMES)["dropped"] == "0"
        assert len(labels.wait_for(2)) == 2


def test_a_node_that_is_cleaned_up_while_a_bundle_loads_holds_none(graph, tmp_path):
    gate = tmp_path / "gate"
    with start_stub(tmp_path) as node:
        connect(graph)
        thread, answers = load_meanwhile(graph, f"slow:{gate}")
        wait_until(lambda: "loading bundle 'slow" in node.output(), "the node to load")
        assert graph.change_state(NODE, "deactivate")
        assert graph.change_state(NODE, "cleanup")
        gate.touch()
        thread.join(20)
        assert not answers[0].success
        assert "cleaned up" in answers[0].message
        graph.wait_for_diagnostic(STATE, "network", "none")
        assert graph.change_state(NODE, "configure")
        graph.wait_for_diagnostic(STATE, "network", "stub")
        assert "Traceback" not in node.output()


def test_no_bundle_is_loaded_into_an_unconfigured_node(graph, tmp_path):
    with start_stub(tmp_path, autostart=False):
        answer = load(graph, "other")
        assert not answer.success
        assert "configure it" in answer.message

"""The life cycle of a real node process: every transition twice, and from wrong states."""

from __future__ import annotations

import pytest
from clouds import make_cloud, some_points
from diagnostic_msgs.msg import DiagnosticStatus
from processes import wait_until
from segmentation import FRAMES, INPUT, NODE, STATE, connect, output, start_stub
from sensor_msgs.msg import PointCloud2
from support import LATCHED
from vision_msgs.msg import LabelInfo

pytestmark = pytest.mark.ros

TRANSITIONS = {
    "unconfigured": {"configure": "inactive"},
    "inactive": {"activate": "active", "cleanup": "unconfigured"},
    "active": {"deactivate": "inactive"},
}
EVERY = ("configure", "activate", "deactivate", "cleanup")


def refuse_all_but(graph, state):
    """Ask for every transition that the state does not have; each is refused and changes nothing."""
    for transition in EVERY:
        if transition not in TRANSITIONS[state]:
            assert not graph.change_state(NODE, transition), f"{transition} from {state}"
            assert graph.state(NODE) == state


def test_every_transition_twice_and_from_wrong_states(graph, tmp_path):
    with start_stub(tmp_path, autostart=False) as node:
        for lap in range(2):
            for transition, state in [
                ("configure", "inactive"),
                ("activate", "active"),
                ("deactivate", "inactive"),
                ("activate", "active"),
                ("deactivate", "inactive"),
                ("cleanup", "unconfigured"),
            ]:
                refuse_all_but(graph, graph.state(NODE))
                assert graph.change_state(NODE, transition)
                assert graph.state(NODE) == state
                if lap == 0:
                    graph.wait_for_diagnostic(STATE, "state", state)
        assert graph.change_state(NODE, "shutdown")
        assert graph.state(NODE) == "finalized"
        graph.wait_for_diagnostic(STATE, "state", "finalized")
        assert not graph.change_state(NODE, "configure")
        assert node.stop() == 0
        assert "Traceback" not in node.output()


@pytest.mark.parametrize("before", ["configure", "activate"])
def test_shutdown_from_any_state(graph, tmp_path, before):
    with start_stub(tmp_path, autostart=False) as node:
        for transition in EVERY[: EVERY.index(before) + 1]:
            assert graph.change_state(NODE, transition)
        assert graph.change_state(NODE, "shutdown")
        assert graph.state(NODE) == "finalized"
        assert node.stop() == 0


def test_subscribed_only_while_active_and_publishing_only_while_configured(graph, tmp_path):
    def subscribed():
        return graph.node.count_subscribers(INPUT) == 1

    def publishing():
        return graph.node.count_publishers(output("segmentation")) == 1

    with start_stub(tmp_path, autostart=False):
        assert not graph.change_state(NODE, "activate")
        assert not subscribed()
        assert graph.change_state(NODE, "configure")
        wait_until(publishing, "publishers after configure")
        assert not subscribed()
        assert graph.change_state(NODE, "activate")
        wait_until(subscribed, "a subscription after activate")
        assert graph.change_state(NODE, "deactivate")
        wait_until(lambda: not subscribed(), "no subscription after deactivate")
        assert publishing()
        assert graph.change_state(NODE, "cleanup")
        wait_until(lambda: not publishing(), "no publishers after cleanup")


def test_works_again_after_a_round_through_the_life_cycle(graph, tmp_path):
    with start_stub(tmp_path):
        publisher, outputs = connect(graph)
        publisher.publish(make_cloud(some_points()))
        outputs["segmentation"].wait_for(1)
        for transition in ("deactivate", "cleanup", "configure", "activate"):
            assert graph.change_state(NODE, transition)
        graph.wait_for_diagnostic(STATE, "publishing", "segmentation")
        wait_until(lambda: publisher.get_subscription_count() == 1, "the node to subscribe again")
        publisher.publish(make_cloud(some_points()))
        outputs["segmentation"].wait_for(2)
        graph.wait_for_diagnostic(FRAMES, "out", "2")


@pytest.mark.parametrize(("bundle", "reason"), [("missing", "no bundle 'missing'"), ("broken", "no such kernel")])
def test_a_bundle_that_cannot_be_loaded_fails_configure_with_one_sentence(graph, tmp_path, bundle, reason):
    with start_stub(tmp_path, autostart=False, bundle=bundle) as node:
        assert not graph.change_state(NODE, "configure")
        assert graph.state(NODE) == "unconfigured"
        wait_until(lambda: reason in (graph.diagnostic(STATE) or DiagnosticStatus()).message, "the reason")
        assert graph.diagnostic(STATE).level == DiagnosticStatus.ERROR
        assert "Traceback" not in node.output()
        assert graph.set_parameter(NODE, "bundle", "stub").successful
        assert graph.change_state(NODE, "configure")
        graph.wait_for_diagnostic(STATE, "network", "stub")
        assert graph.diagnostic(STATE).level == DiagnosticStatus.OK


def test_a_failed_autostart_is_reported_and_can_be_retried(graph, tmp_path):
    with start_stub(tmp_path, bundle="missing"):
        wait_until(lambda: (graph.diagnostic(STATE) or DiagnosticStatus()).level == DiagnosticStatus.ERROR, "ERROR")
        assert graph.state(NODE) == "unconfigured"
        assert graph.set_parameter(NODE, "bundle", "stub").successful
        assert graph.change_state(NODE, "configure")
        assert graph.change_state(NODE, "activate")


def test_label_info_reaches_late_subscribers(graph, tmp_path):
    with start_stub(tmp_path):
        graph.wait_for_state(NODE, "active")
        info = graph.collect(LabelInfo, f"{NODE}/label_info", LATCHED).wait_for(1)[0]
        assert [(c.class_id, c.class_name) for c in info.class_map] == [(0, "low"), (1, "high")]


def test_the_input_s_reliability_is_a_parameter(graph, tmp_path):
    def reliability():
        infos = graph.node.get_subscriptions_info_by_topic(INPUT)
        return infos[0].qos_profile.reliability.name if infos else ""

    graph.collect(PointCloud2, output("segmentation"))
    with start_stub(tmp_path, input_reliability="best_effort"):
        graph.wait_for_state(NODE, "active")
        wait_until(lambda: reliability() == "BEST_EFFORT", "a best-effort subscription")
        assert graph.set_parameter(NODE, "input_reliability", "reliable").successful
        assert graph.change_state(NODE, "deactivate")
        assert graph.change_state(NODE, "activate")
        wait_until(lambda: reliability() == "RELIABLE", "a reliable subscription")

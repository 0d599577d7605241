"""Percentiles of stages."""

import pytest

from perception.evaluation.latency import (
    exclusive_stages,
    samples_by_stage,
    summarize,
    summarize_stages,
    with_totals,
)


def test_percentiles_of_a_known_series():
    summary = summarize([float(value) for value in range(101)])
    assert (summary.p50, summary.p95, summary.p99, summary.max, summary.count) == (50.0, 95.0, 99.0, 100.0, 101)


def test_one_sample_is_every_percentile():
    assert summarize([7.0]).model_dump() == {"p50": 7.0, "p95": 7.0, "p99": 7.0, "max": 7.0, "count": 1}


@pytest.mark.parametrize("samples", [[], [1.0, float("nan")], [float("inf")]])
def test_what_is_no_duration_is_refused(samples):
    with pytest.raises(ValueError, match="finite durations"):
        summarize(samples)


def test_stages_keep_their_order_and_their_own_counts():
    frames = [{"decode": 1.0, "network": 20.0}, {"decode": 3.0, "encode": 5.0, "network": 22.0}]
    assert samples_by_stage(frames) == {"decode": [1.0, 3.0], "network": [20.0, 22.0], "encode": [5.0]}
    assert {stage: summary.p50 for stage, summary in summarize_stages(frames).items()} == {
        "decode": 2.0,
        "network": 21.0,
        "encode": 5.0,
    }


NODE_MS = {"wait": 5.0, "decode": 2.0, "inference": 100.0, "network.stem": 30.0, "network.head": 60.0, "publish": 3.0}


def test_exclusive_stages_sum_to_the_total_and_do_not_overlap():
    stages = exclusive_stages(NODE_MS, total_ms=112.0)
    assert "inference" not in stages
    assert (stages["network.other"], stages["other"]) == (10.0, pytest.approx(2.0))
    assert sum(stages.values()) == pytest.approx(112.0)


def test_a_network_without_parts_stands_for_itself():
    assert exclusive_stages({"inference": 9.0}, total_ms=9.0) == {"network.other": 9.0}


def test_overhead_is_neither_the_network_nor_waiting_for_it():
    stages = with_totals(NODE_MS, inference_ms=100.0, total_ms=112.0)
    assert (stages["overhead"], stages["total"]) == (7.0, 112.0)
    assert with_totals({}, inference_ms=5.0, total_ms=4.9)["overhead"] == 0.0

"""Percentiles of stages."""

import pytest
from perception.evaluation.latency import samples_by_stage, summarize, summarize_stages


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

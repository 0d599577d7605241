"""Differences and their intervals: worked out by hand, and as often right as they say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from perception.configuration import ConfigurationError
from perception.evaluation.compare.comparison import ComparisonResults, Difference, Resampling, compare_runs, measured
from perception.evaluation.compare.notes import notes_on_models
from perception.evaluation.compare.runs import read_run
from perception.evaluation.records import FrameRecord
from tests.evaluation.compare.evaluations import MACHINE, frame, network, write_run

FEW = Resampling(resamples=200)


def compared(
    folder: Path, first: list[FrameRecord], second: list[FrameRecord], how: Resampling = FEW, pairs: tuple = ()
) -> ComparisonResults:
    runs = [read_run(write_run(folder / name, records)) for name, records in (("a", first), ("b", second))]
    return compare_runs(*runs, pairs, how)


def figure(results: ComparisonResults, name: str) -> Difference:
    (model,) = results.models
    return model.figures[name]


def frames(totals_ms: list[float], **more) -> list[FrameRecord]:
    return [frame(index, float(total), **more) for index, total in enumerate(totals_ms)]


def test_a_run_is_like_itself(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    records = [frame(index, rng.uniform(1, 9), [(0, 0, 5), (0, 1, index), (1, 1, 7)]) for index in range(40)]
    results = compared(tmp_path, records, records)
    assert results.notes == ()
    assert results.models[0].paired
    tested = [one for one in results.models[0].figures.values() if one.verdict == "no difference"]
    assert len(tested) >= 9
    for one in tested:
        assert (one.difference, one.low, one.high) == (0, 0, 0)


def test_two_frames_by_hand(tmp_path: Path) -> None:
    # Drawn twice with replacement: the first twice, both, or the second twice, so the median differs by 10, 15 or 20.
    one = figure(compared(tmp_path, frames([5, 5]), frames([15, 25])), "latency.total.p50")
    assert (one.first, one.second, one.difference, one.relative) == (5, 20, 15, 3)
    assert (one.low, one.high, one.verdict) == (10, 20, "worse")


def test_what_frames_share_cancels_out(tmp_path: Path) -> None:
    totals = np.random.default_rng(0).uniform(10, 90, 60)
    one = figure(compared(tmp_path, frames(totals), frames(totals - 2)), "latency.total.p95")
    assert (one.difference, one.low, one.high) == pytest.approx((-2, -2, -2))
    assert one.verdict == "better"


def test_accuracy_by_hand(tmp_path: Path) -> None:
    # Right of 10 points: 9 and 7 in the first run, 8 and 8 in the second.
    first = [frame(0, triples=[(0, 0, 9), (0, 1, 1)]), frame(1, triples=[(0, 0, 7), (0, 1, 3)])]
    second = [frame(index, triples=[(0, 0, 8), (0, 1, 2)]) for index in range(2)]
    one = figure(compared(tmp_path, first, second), "accuracy")
    assert (one.difference, one.low, one.high) == pytest.approx((0, -0.1, 0.1))
    assert one.verdict == "no difference"


def test_more_accuracy_is_better(tmp_path: Path) -> None:
    first, second = ([frame(index, triples=[(0, 0, right), (0, 1, 2)]) for index in range(9)] for right in (8, 9))
    results = compared(tmp_path, first, second)
    assert figure(results, "IoU.car").verdict == figure(results, "mIoU").verdict == "better"


def test_other_frames_are_resampled_by_themselves(tmp_path: Path) -> None:
    totals = np.random.default_rng(0).uniform(10, 90, 60)
    results = compared(tmp_path, frames(totals), frames(totals[:50] - 2))
    assert not results.models[0].paired
    assert any("did not see the same frames" in note for note in results.notes)
    one = figure(results, "latency.total.p50")
    assert one.high - one.low > 5
    assert one.verdict == "no difference"


def test_without_frames_there_are_no_intervals(tmp_path: Path) -> None:
    first, second = (write_run(tmp_path / name, frames([total] * 9)) for name, total in (("a", 5), ("b", 6)))
    (tmp_path / "a/frames/drive.jsonl").unlink()
    results = compare_runs(read_run(first), read_run(second.parent), (), FEW)
    one = figure(results, "latency.total.p50")
    assert (one.difference, one.low, one.verdict) == (1, None, "not tested")
    assert results.notes == (f"{first} has no frames/ beside it: differences are without intervals.",)
    assert measured(results)["street"]["delta.latency.total.p50"].significant is None


def test_what_else_differs_is_said(tmp_path: Path) -> None:
    first, second = (read_run(write_run(tmp_path / name, frames([5, 6], triples=[(0, 0, 1)]))) for name in ("a", "b"))
    machine = MACHINE.model_copy(update={"cpu": "another"})
    changes = {"mode": "online", "partial": True, "workers": 3, "machine": machine}
    labels = second.results.models[0].segmentation
    assert labels is not None
    model = second.results.models[0].model_copy(
        update={"segmentation": labels.model_copy(update={"label_set": "nuscenes_lidarseg"})}
    )
    results = second.results.model_copy(
        update={"run": second.results.run.model_copy(update=changes), "models": (model,)}
    )
    notes = " ".join(compare_runs(first, second._replace(results=results), (), FEW).notes)
    for words in ("interrupted", "offline and the other online", "made-up cpu and another", "None and 3 frames",
                  "street: judged in different classes, semantic_kitti and nuscenes_lidarseg"):  # fmt: skip
        assert words in notes


def test_objects_that_count_are_to_be_the_same() -> None:
    detection = {"mean_average_precision": None, "by_class": {}, "classes": [], "nuscenes_detection_score": None,
                 "errors": {}, "frames": 1, "curves": {}, "by_distance": {}, "by_points": {}, "kitti": {}}  # fmt: skip
    one, other = (
        network(task="detection", detection={**detection, "range_m": range_m, "least_points": least})
        for range_m, least in ((50.0, 5), (30.0, 1))
    )
    assert list(notes_on_models([(one, one)])) == []
    (note,) = notes_on_models([(one, other)])
    assert note == "street: different objects count, those within 50 m of 5 points and those within 30 m of 1 points."
    assert list(notes_on_models([(one, network())])) == ["street: one is for detection and the other for segmentation."]


def test_only_what_both_have_is_compared(tmp_path: Path) -> None:
    results = compared(tmp_path, frames([5, 6], triples=[(0, 0, 1)]), frames([5, 6]))
    one = figure(results, "mIoU")
    assert (one.first, one.second, one.difference, one.verdict) == (1, None, None, "unknown")


def test_changes_are_what_conditions_are_about(tmp_path: Path) -> None:
    found = measured(compared(tmp_path, frames([4] * 9), frames([5] * 9)))["street"]
    assert found["latency.total.p50"].value == 5
    assert found["delta.latency.total.p50"] == (1, True)
    assert found["relative.latency.total.p50"] == (0.25, True)
    assert found["delta.drops"] == (0, False)
    assert found["relative.drops"].value is None, "a share of nothing"


def test_networks_are_found_by_name_or_because_there_is_one(tmp_path: Path) -> None:
    street, other, third = (frames([5, 6], model=name) for name in ("street", "other", "third"))
    assert [one.first for one in compared(tmp_path, street + other, other + street).models] == ["street", "other"]
    (alone,) = compared(tmp_path, street, other).models
    assert (alone.first, alone.second) == ("street", "other")
    (named,) = compared(tmp_path, street + other, other + third, pairs=[("street", "third")]).models
    assert (named.first, named.second, named.paired) == ("street", "third", True)
    with pytest.raises(ConfigurationError, match=r"no network is in both .*--models"):
        compared(tmp_path, street + other, third)
    with pytest.raises(ConfigurationError, match=r"b/metrics\.json: no network 'street' \(there are: third\)"):
        compared(tmp_path, street, third, pairs=[("street", "street")])


@pytest.mark.parametrize("content", ["{", '{"format": 1}', None])
def test_another_file_is_refused_by_name(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "metrics.json").write_text(content)
    with pytest.raises(ConfigurationError, match=r"metrics\.json: (no evaluation|cannot be read)"):
        read_run(tmp_path)

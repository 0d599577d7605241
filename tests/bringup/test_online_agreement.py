"""The nodes say to the bit what the library says, of every frame that was not dropped."""

import pytest

from perception.bringup.evaluate.online import OnlineOptions, online_outcomes
from perception.bringup.graph.running import GraphOptions
from perception.data.recorded_drive import RecordedDrive
from perception.evaluation.judging import Judge
from perception.evaluation.models import find_models
from perception.evaluation.offline.outcomes import OfflineOptions, offline_outcomes
from perception.export.exporter import export_network
from tests.export.test_detectors import seeing_network, source_of

pytestmark = [pytest.mark.ros, pytest.mark.slow]
FRAMES = 6
#: Bag seconds a second: slow enough that nothing is dropped, for four networks on a busy machine.
RATE = 0.03
TWO_SWEEPS = {"point_channels": 5, "window": 3, "group_size": 5}


def test_both_modes_make_the_same_records(short_bag, tmp_path, monkeypatch):
    # Offline each network has one thread: how many there are must not show.
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    export_network(source_of(seeing_network(TWO_SWEEPS), sweeps=2), tmp_path / "sweeps")
    models = find_models(["spvcnn_street", "flatformer_street", "boxes=pointpillars_street", str(tmp_path / "sweeps")])
    judges = {model.name: Judge.of_bundle(model.description) for model in models}
    offline = [record for _, record in offline_outcomes([RecordedDrive(short_bag)], models, OfflineOptions(workers=1))]
    options = OnlineOptions(GraphOptions(tmp_path / "logs"), RATE)
    outcomes = list(online_outcomes([RecordedDrive(short_bag)], models, options))

    online = [judges[outcome.model].judge(outcome) for outcome in outcomes]
    assert len(online) == FRAMES * len(models)
    assert [record.dropped for record in online] == [""] * len(online)
    without_times = {"stage_ms": {}}
    for offline_record, online_record in zip(offline, online, strict=True):
        assert online_record.model_copy(update=without_times) == offline_record.model_copy(update=without_times)
        assert online_record.stage_ms["end_to_end"] > online_record.stage_ms["inference"] > 0
        assert online_record.stage_ms["replay_late"] >= 0
    assert all(any(one.found.scores for one in online if one.model == model.name) for model in models[1:])

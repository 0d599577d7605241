"""`perception view` at the command line, with files."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request

import numpy as np
import pytest
from PIL import Image

from perception.cli import main
from perception.data.bags import write_drive
from perception.data.drive import DriveFrame
from perception.evaluation.records import BoxesRecord, FrameRecord, RecordWriter
from perception.types import Frame, PointCloud
from tests.evaluation.view.conftest import START_NS, STEP_NS, boxes
from tests.evaluation.view.rrd import entities, rows


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    path = tmp_path_factory.mktemp("bags") / "street"
    points, ids = PointCloud(np.full((4, 4), 5, np.float32)), np.zeros(4, np.uint8)
    frames = (Frame(points, START_NS + index * STEP_NS, "lidar") for index in range(3))
    write_drive(path, [DriveFrame(frame, np.eye(4), ids, objects=boxes(1)) for frame in frames])
    return path


@pytest.fixture
def run_folder(tmp_path):
    found = BoxesRecord.of(boxes(2), np.zeros(2, np.int64))
    for bag in ("street", "yard"):
        with RecordWriter(tmp_path / "run" / "frames" / f"{bag}.jsonl") as writer:
            for index in range(3):
                stamp_ns = START_NS + index * STEP_NS
                writer.write(
                    FrameRecord(
                        bag=bag, index=index, model="net", stamp_ns=stamp_ns, points=4, found=found, quality=0.5
                    )
                )
    return tmp_path / "run"


@pytest.fixture
def free_ports():
    with socket.socket() as first, socket.socket() as second:
        for one in (first, second):
            one.bind(("", 0))
        return first.getsockname()[1], second.getsockname()[1]


def view(*words):
    return main(["view", *map(str, words)])


def test_a_bag_becomes_a_file(bag, tmp_path):
    assert view(bag, "--save", tmp_path / "a" / "street.rrd") == 0
    found = entities(tmp_path / "a" / "street.rrd")
    assert {"/points", "/ground_truth/points", "/ground_truth/objects", "/tf/lidar"} <= found


def test_of_a_damaged_bag_the_rest_is_shown_and_the_loss_said(bag, tmp_path):
    (whole,) = bag.glob("*.mcap")
    (tmp_path / "cut.mcap").write_bytes(whole.read_bytes()[:-200])
    assert view(tmp_path / "cut.mcap", "--save", tmp_path / "a.rrd") == 0
    assert rows(tmp_path / "a.rrd", "points", "Points3D:positions")[0][0] == START_NS
    assert rows(tmp_path / "a.rrd", "losses", "TextLog:text")


def test_a_part_of_a_bag(bag, tmp_path):
    assert view(bag, "--start-s", 0.1, "--duration-s", 0.1, "--save", tmp_path / "a.rrd") == 0
    assert [stamp for stamp, _ in rows(tmp_path / "a.rrd", "/points", "Points3D:positions")] == [START_NS + STEP_NS]


def test_a_run_beside_its_bag(bag, run_folder, tmp_path):
    assert view(bag, run_folder, "--bag", "street", "--save", tmp_path / "a.rrd") == 0
    points, found = (
        rows(tmp_path / "a.rrd", *place)
        for place in (("points", "Points3D:positions"), ("net/output/objects", "Boxes3D:labels"))
    )
    assert [stamp for stamp, _ in points] == [stamp for stamp, _ in found]
    assert len(found) == 3


def test_a_run_with_bags_needs_no_bag(bag, run_folder, tmp_path):
    shutil.copytree(bag, run_folder / "bags" / "street")
    assert view(run_folder, "--bag", "street", "--save", tmp_path / "a.rrd") == 0
    assert len(rows(tmp_path / "a.rrd", "points", "Points3D:positions")) == 3


def test_a_run_of_several_bags_asks_which(run_folder, tmp_path, capsys):
    assert view(run_folder, "--save", tmp_path / "a.rrd") == 2
    assert "give --bag with one, such as street or yard" in capsys.readouterr().err
    assert view(run_folder, "--bag", "attic", "--save", tmp_path / "a.rrd") == 2
    assert "no bag attic" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "give a bag or a run's folder"),
        (["BAG", "BAG", "--save", "x.rrd"], "one bag, one run's folder"),
        (["nowhere", "--save", "x.rrd"], "nowhere: there is no such bag"),
        (["BAG", "--frame", "1"], "add --open3d"),
        (["BAG", "--open3d", "--serve"], "--open3d shows a frame of a bag"),
        (["BAG", "--open3d"], "no screen here: add --picture"),
        (["BAG", "--open3d", "--frame", "9", "--picture", "x.png"], "has no frame 9"),
        (["BAG", "--save", "/proc/x.rrd"], "/proc/x.rrd: cannot be written"),
        (["BAG"], "no screen here: add --serve"),
    ],
)
def test_mistakes_are_one_sentence(bag, words, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert view(*(bag if word == "BAG" else word for word in words)) == 2
    assert sentence in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_memory_is_one_sentence(bag, free_ports, capsys):
    page, data = free_ports
    assert view(bag, "--serve", "--memory", "much", "--port", page, "--data-port", data) == 2
    assert "much" in capsys.readouterr().err


def test_a_taken_port_is_one_sentence(bag, capsys):
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        assert view(bag, "--serve", "--port", taken.getsockname()[1]) == 2
    assert "is taken: give others with --port" in capsys.readouterr().err


def test_without_rerun_it_says_what_to_install(bag, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "rerun", None)
    assert main(["view", str(bag), "--save", "x.rrd"]) == 2
    assert "pip install 'rerun-sdk" in capsys.readouterr().err


def test_a_single_frame_is_drawn_without_a_screen(bag, tmp_path, capsys):
    code = main(["view", str(bag), "--open3d", "--frame", "2", "--picture", str(tmp_path / "frame.png")])
    if code == 2 and "install a Vulkan driver" in capsys.readouterr().err:
        pytest.skip("Open3D draws only where there is a Vulkan driver")
    assert code == 0
    pixels = np.asarray(Image.open(tmp_path / "frame.png").convert("RGB")).reshape(-1, 3)
    # The edges of the true box, and the four points in the colour of cars.
    assert (pixels == 255).all(axis=1).sum() > 50
    assert (np.abs(pixels.astype(int) - (100, 150, 245)) < 12).all(axis=1).any()


def test_a_page_is_served_until_ctrl_c(bag, free_ports):
    page, data = free_ports
    words = [sys.executable, "-m", "perception.cli", "view", bag, "--serve", "--port", page, "--data-port", data]
    with subprocess.Popen(list(map(str, words)), stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as served:
        lines = [served.stdout.readline().strip() for _ in range(2)]
        while "all sent" not in lines[-1]:
            lines.append(served.stdout.readline().strip())
            assert lines[-1], lines
        with urllib.request.urlopen(lines[1].split("?")[0], timeout=10) as answer:
            assert b"rerun" in answer.read().lower()
        assert lines[1] == f"http://localhost:{page}/?url=rerun%2Bhttp://localhost:{data}/proxy"
        served.send_signal(signal.SIGINT)
        assert served.wait(10) == 0

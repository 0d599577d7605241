"""The page in a real browser: no errors, both themes, and no wider than a phone."""

import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from perception.evaluation.report.writing import write_report
from tests.evaluation.report.evaluations import results, worst_frames, write_records

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")
PHONE = (500, 900)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluation")
    return write_report(folder, results(30), worst_frames(30), [write_records(folder, 30)])


@pytest.fixture
def browse(tmp_path):
    def run(page, *options, size=(1200, 900)):
        command = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        command += ["--enable-logging=stderr", "--v=0"]
        command += [f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={size[0]},{size[1]}", *options]
        return subprocess.run([*command, page.as_uri()], capture_output=True, text=True, timeout=120, check=True)

    return run


def complaints(run):
    return [line for line in run.stderr.splitlines() if "CONSOLE" in line or "Refused" in line]


def with_script(page, tmp_path, script):
    copy = tmp_path / "scripted.html"
    copy.write_text(page.read_text().replace("</body>", f"<script>{script}</script></body>"))
    return copy


def test_the_console_stays_silent(page, browse, tmp_path):
    run = browse(page, "--dump-dom")
    assert "labeller" in run.stdout
    assert complaints(run) == []
    # So that silence means something.
    assert complaints(browse(with_script(page, tmp_path, "nothing.at.all()"), "--dump-dom"))


def test_it_is_no_wider_than_a_phone(page, browse, tmp_path):
    script = "document.title = `${document.documentElement.scrollWidth} of ${document.documentElement.clientWidth}`"
    title = browse(with_script(page, tmp_path, script), "--dump-dom", size=PHONE).stdout.split("title>")[1]
    wide, there = map(int, title.split("<")[0].split(" of "))
    assert 0 < wide <= there <= PHONE[0]


@pytest.mark.parametrize(("options", "dark"), [((), False), (("--blink-settings=preferredColorScheme=0",), True)])
def test_both_themes_are_drawn(page, browse, tmp_path, options, dark):
    picture = tmp_path / "page.png"
    browse(page, f"--screenshot={picture}", "--hide-scrollbars", *options)
    pixels = np.asarray(Image.open(picture).convert("L"))
    assert (pixels[5, 5] < 40) is np.bool_(dark)
    assert len(np.unique(pixels)) > 20

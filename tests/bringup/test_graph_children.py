"""Child processes of a command: ended in order, quoted when they fail."""

import os
import signal
import sys

import pytest

from perception.bringup.graph.children import Child, GraphError, tail


class ScriptChild(Child):
    """A child that runs a line of Python instead of `perception`."""

    def __init__(self, code, log):
        super().__init__(["-c", code], log, {}, program=(sys.executable,))


def test_a_child_that_fails_is_quoted_with_its_last_lines(tmp_path):
    code = "print(*range(50), sep='\\n'); raise SystemExit('the reason')"
    with ScriptChild(code, tmp_path / "log") as child, pytest.raises(GraphError, match="ended with code 1") as error:
        child.wait(30)
    text = str(error.value)
    assert "the reason" in text
    assert "    49\n" in text
    assert "    30\n" not in text
    assert str(tmp_path / "log") in text


def test_a_child_that_ends_well_raises_nothing(tmp_path):
    with ScriptChild("pass", tmp_path / "log") as child:
        child.wait(30)
        assert not child.is_running()


def test_leaving_the_block_asks_a_child_to_end(tmp_path):
    code = (
        "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: (print('ended'), sys.exit(0)));"
        "print('ready'); signal.pause(); time.sleep(9)"
    )
    log = tmp_path / "log"
    with ScriptChild(code, log) as child:
        while "ready" not in log.read_text():
            assert child.is_running()
    assert log.read_text().split() == ["ready", "ended"]


def test_ctrl_c_in_the_terminal_does_not_reach_children_by_itself(tmp_path):
    log = tmp_path / "log"
    with ScriptChild("import os, signal; print(os.getpgid(0)); signal.pause()", log) as child:
        while not log.read_text().endswith("\n"):
            assert child.is_running()
        assert int(log.read_text()) != os.getpgid(0)


def test_a_child_that_hangs_is_reported(tmp_path):
    with ScriptChild("import signal; signal.pause()", tmp_path / "log") as child:
        with pytest.raises(GraphError, match="still runs after 0 s"):
            child.wait(0.01)
        assert child.is_running()


def test_a_child_ended_by_a_signal_has_failed(tmp_path):
    code = f"import os; os.kill(os.getpid(), {signal.SIGKILL:d})"
    with ScriptChild(code, tmp_path / "log") as child, pytest.raises(GraphError, match="code -9"):
        child.wait(30)


def test_an_empty_log_says_so(tmp_path):
    assert "printed nothing" in tail(tmp_path / "never_written")

"""What is seen of a run: bars and lines on a terminal, plain lines elsewhere."""

import logging
import subprocess
import sys
import time

import pytest

from bids_eeg2fmri.workflow import progress
from bids_eeg2fmri.workflow.progress import Dashboard, printable

# Two participants, the second with a warning of ours and one of Python's between its stages.
WORK = """\
import logging, sys, time, warnings
from bids_eeg2fmri.cli import _logging
from bids_eeg2fmri.workflow.progress import Dashboard

with _logging(0), Dashboard(2) as dashboard:
    for label in ("01", "\\x1b[31mred"):
        report = dashboard.begin(f"sub-{label}")
        report("finding recordings")
        report.expect(3)
        for what in ("reading sub-x_task-rest", "fold 1 of 1", "writing"):
            report(what)
            time.sleep(0.4)
            if label != "01":
                logging.getLogger("bids_eeg2fmri.x").warning("something about %s", what)
        report.finish("No better than chance")
    warnings.warn("of another library", stacklevel=1)
"""


@pytest.fixture(scope="module")
def seen(on_terminal):
    return on_terminal([sys.executable, "-c", WORK])


def test_bars_tell_whose_turn_it_is_what_is_done_and_how_long_it_will_take(seen):
    assert "participants" in seen.sent
    assert "1/2 sub-01: reading sub-x_task-rest" in seen.sent
    assert "fold 1 of 1" in seen.sent
    assert "1/4 0:00:00" in seen.sent  # stages
    assert "1/2 0:00:0" in seen.sent  # participants
    assert "left" in seen.sent


def test_what_remains_on_the_screen_is_a_line_for_each_participant(seen):
    lines = [line for line in seen.screen if "No better" in line]
    assert [line.rpartition(" (")[0] for line in lines] == [
        "1/2 sub-01: No better than chance",
        "2/2 sub-\N{REPLACEMENT CHARACTER}[31mred: No better than chance",
    ]
    assert "━" not in "\n".join(seen.screen)
    assert seen.sent.rindex("\x1b[?25h") > seen.sent.rindex("\x1b[?25l")  # the cursor is there again


def test_warnings_stand_above_the_bars_whole(seen):
    for what in ("reading sub-x_task-rest", "fold 1 of 1", "writing"):
        assert any(line.endswith(f"bids_eeg2fmri.x: something about {what}") for line in seen.screen)
    assert any("UserWarning: of another library" in line for line in seen.screen)


def test_a_name_does_not_steer_the_terminal(seen):
    assert "\x1b[31mred" not in seen.sent


def test_no_color_is_obeyed(on_terminal, seen):
    without = on_terminal([sys.executable, "-c", WORK], NO_COLOR="1")
    assert "\x1b[38;" in seen.sent
    assert "\x1b[38;" not in without.sent
    assert "participants" in without.sent


def test_a_terminal_that_cannot_move_its_cursor_gets_lines(on_terminal):
    dumb = on_terminal([sys.executable, "-c", WORK], TERM="dumb")
    assert "\x1b" not in dumb.sent
    assert "participants" not in dumb.sent
    assert "1/2 sub-01: No better than chance" in dumb.sent


def test_without_a_terminal_there_is_a_line_each_and_nothing_that_steers(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    text = subprocess.run([sys.executable, "-c", WORK], capture_output=True, text=True, check=True).stderr
    assert printable(text) == text
    lines = text.splitlines()
    assert lines[0].startswith("1/2 sub-01: No better than chance (")
    assert sum("No better" in line for line in lines) == 2
    assert sum("something about" in line for line in lines) == 3


@pytest.mark.parametrize("width", [40, 250])
def test_bars_fit_into_any_width(width, on_terminal):
    narrow = on_terminal([sys.executable, "-c", WORK], width=width)
    assert narrow.code == 0
    assert "━" not in "\n".join(narrow.screen)


def test_an_interruption_says_who_is_not_finished(capsys):
    def work():
        with Dashboard(3) as dashboard:
            dashboard.begin("sub-01").finish("done")
            dashboard.begin("sub-02")("reading")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert [line.rpartition(" (")[0] for line in capsys.readouterr().err.splitlines()] == [
        "1/3 sub-01: done",
        "2/3 sub-02: stopped, not finished",
    ]


def test_each_stage_is_logged(caplog):
    caplog.set_level(logging.INFO, logger="bids_eeg2fmri")
    with Dashboard() as dashboard:
        report = dashboard.begin("group")
        report("reading samples")
        report.finish("Better than chance")
    assert caplog.messages[0] == "group: reading samples"
    assert caplog.messages[1].startswith("group: Better than chance (")


def test_what_remains_is_told_from_the_pace_so_far_and_runs_down(monkeypatch):
    now_s = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    bar = progress._Bar("participants", 5)
    assert bar.words() == ("0/5", "0:00:00", "")
    now_s = 130.0
    bar.move(1.5)
    assert bar.words() == ("1/5", "0:00:30", "0:01:10 left")  # 20 s for each, 3.5 to go
    now_s = 140.0
    assert bar.words() == ("1/5", "0:00:40", "0:01:00 left")
    now_s = 300.0
    assert bar.words() == ("1/5", "0:03:20", "0:00:00 left")


def test_more_stages_than_expected_lengthen_the_bar():
    dashboard = Dashboard(1)
    report = dashboard.begin("sub-01")
    report("finding recordings")
    report.expect(2)
    for what in ("reading", "training", "scoring", "writing"):
        report(what)
    assert dashboard._stages.words()[0] == "4/5"

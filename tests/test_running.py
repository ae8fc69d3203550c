"""What is left of a run beside its results: the log, the methods text, pages made anew; and what an interruption leaves."""

import re
import shutil
import subprocess
import sys
from datetime import datetime

import pytest

from bids_eeg2fmri import __version__
from bids_eeg2fmri.bids.derivatives import Derivatives
from bids_eeg2fmri.workflow.progress import printable


@pytest.fixture
def output(participant_run, tmp_path):
    """A copy of what the participant level wrote, without its logs."""
    path = tmp_path / "derivatives"
    shutil.copytree(participant_run.output, path, ignore=shutil.ignore_patterns("logs"))
    return path


def page_of(path):
    """A page but for the minute that it was made in."""
    text, n = re.subn(r"Made by bids_eeg2fmri \S+ on [\d-]+ [\d:]+ UTC", "", path.read_text())
    assert n == 1
    return text


def log_of(output, level="participant"):
    [path] = (output / "logs").glob(f"{level}_*.log")
    return path.read_text()


# ---------------------------------------------------------------------------------------------------------------- the log


def test_a_run_without_a_terminal_prints_nothing_that_steers_one(participant_run, group_run):
    for result in (participant_run.result, group_run.result):
        assert printable(result.err) == result.err
        assert "\t" not in result.err


def test_the_log_tells_command_versions_stages_numbers_and_the_exit_code(group_run):
    lines = log_of(group_run.output).splitlines()
    for line in lines:
        stamp, level, _ = line.split(" ", 2)
        datetime.strptime(stamp, "%Y-%m-%dT%H:%M:%S%z")
        assert level in ("DEBUG", "INFO", "WARNING")
    assert f"bids_eeg2fmri {group_run.dataset} " in lines[0]
    assert "--n-cpus 2" in lines[0]
    assert f"bids_eeg2fmri {__version__}, python" in lines[1]
    assert re.search(r"tensorflow \d.*, engine: tensorflow on 2 CPU threads", lines[1])
    text = "\n".join(lines)
    for number in (1, 2, 3, 4):
        assert f"{number}/4 sub-0{number}: reading sub-0{number}_task-rest" in text
    assert "3/4 sub-03: training, fold 5 of 5" in text
    assert "volume marker 'Response/R128'" in text  # of one of our modules, at INFO
    assert "4/4 sub-04: EEG only, prepared for the group level" in text
    assert lines[-1].endswith("exit code 0")
    assert "transfer to sub-02" in log_of(group_run.output, "group")


def test_the_log_has_its_name_from_level_time_and_process(participant_run):
    [path] = (participant_run.output / "logs").glob("participant_*.log")
    assert re.fullmatch(rf"participant_\d{{8}}T\d{{6}}_{participant_run.process}\.log", path.name)


def test_processes_that_have_the_same_number_have_logs_of_their_own(output):
    derivatives = Derivatives(output, output)
    assert len({derivatives.create_log("group") for _ in range(3)}) == 3


def test_a_failure_is_in_the_log_with_its_traceback_and_the_last_line_says_where(copy, app, tmp_path):
    dataset = copy()
    (dataset / "sub-01/eeg/sub-01_task-rest_eeg.eeg").unlink()
    result = app(dataset, tmp_path / "out", "participant")
    assert result.code == 66
    [path] = (tmp_path / "out/logs").glob("participant_*.log")
    assert result.err.splitlines()[-1] == f"log: {path}"
    assert "Traceback" not in result.err
    lines = path.read_text().splitlines()
    assert any("Traceback" in line for line in lines)
    assert any("ERROR" in line and "sub-01 failed: " in line for line in lines)
    assert lines[-1].endswith("exit code 66")


def test_where_the_log_cannot_be_written_nothing_is_begun(copy, app, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/logs").write_text("a file")
    result = app(copy(), tmp_path / "out", "participant")
    assert result.code == 73
    assert f"{tmp_path / 'out/logs'}: expected a folder to write a log to, found" in result.last_line
    assert not list((tmp_path / "out").glob("sub-*"))


# --------------------------------------------------------------------------------------------------------- an interruption


def test_ctrl_c_leaves_a_clean_terminal_and_says_who_is_not_finished(
    dataset, settings_file, participant_run, on_terminal, tmp_path
):
    output = tmp_path / "derivatives"
    # Somebody who was finished before stays so.
    shutil.copytree(participant_run.output / "sub-02", output / "sub-02")
    shutil.copy(participant_run.output / "sub-02.html", output)
    command = [sys.executable, "-m", "bids_eeg2fmri", dataset, output, "participant", "--config-file", settings_file]
    stopped = on_terminal([*command, "--n-cpus", 2], interrupt_at="1/4 sub-01: training, fold 2 of 5")
    assert stopped.code == 130
    assert stopped.sent.rindex("\x1b[?25h") > stopped.sent.rindex("\x1b[?25l")
    first, second, third = stopped.screen
    assert first.startswith("1/4 sub-01: stopped, not finished (")
    assert second == "bids_eeg2fmri: stopped by Ctrl-C"
    assert third.startswith(f"log: {output}"[:90])
    assert log_of(output).splitlines()[-1].endswith("exit code 130")
    derivatives = Derivatives(output, dataset)
    assert derivatives.list_done() == ["02"]
    assert (output / "sub-02.html").exists()
    assert {"name": "sub-01", "reason": "stopped (Ctrl-C) before it was finished"} in derivatives.read_failures()


# ------------------------------------------------------------------------------------------------------------ pages, anew


def test_the_same_page_is_made_anew_without_raw_data_and_without_tensorflow(participant_run, output):
    page = output / "sub-01.html"
    page.unlink()
    before = {path: path.stat().st_mtime_ns for path in output.rglob("*") if path.is_file()}
    code = (
        "import sys\n"
        "from bids_eeg2fmri.cli import main\n"
        "code = main(sys.argv[1:])\n"
        "print(sorted({'keras', 'tensorflow', 'bids'} & set(sys.modules)), file=sys.stderr)\n"
        "sys.exit(code)\n"
    )
    options = ("/nonexistent", output, "participant", "--reports-only", "--participant-label", "sub-01")
    done = subprocess.run([sys.executable, "-c", code, *map(str, options)], capture_output=True, text=True, check=True)
    assert done.stdout == f"{page}\n"
    assert done.stderr.splitlines()[-1] == "[]"
    assert page_of(page) == page_of(participant_run.output / "sub-01.html")
    assert before == {path: path.stat().st_mtime_ns for path in before}  # nothing else is touched
    for name in ("CITATION.md", "CITATION.bib"):
        assert (output / "logs" / name).read_text() == (participant_run.output / "logs" / name).read_text()


def test_bars_show_whose_page_is_made(output, on_terminal):
    command = [sys.executable, "-m", "bids_eeg2fmri", "/nonexistent", output, "participant", "--reports-only"]
    seen = on_terminal([*command, "--participant-label", "04"])
    assert seen.code == 0
    assert "1/1 sub-04: report" in seen.sent
    assert seen.screen[0].startswith("1/1 sub-04: page made anew (")
    assert "".join(seen.screen[1:]) == str(output / "sub-04.html")  # may be longer than the screen is wide


def test_who_has_no_results_gets_no_page_and_is_told(output, app):
    Derivatives(output, output).write_failure("05", "sub-05_eeg.vhdr: expected a file, found none")
    (output / "sub-04/sub-04_summary.json").write_text("{")
    for subject in ("01", "02"):
        shutil.rmtree(output / f"sub-{subject}")
    result = app("/nonexistent", output, "participant", "--reports-only")
    assert result.code == 1
    assert result.out == f"{output / 'sub-03.html'}\n"
    assert "sub-04 failed: software error: JSONDecodeError(" in result.lines[-2]
    assert result.last_line == "sub-05 no results: sub-05_eeg.vhdr: expected a file, found none"


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            ("07", "08"),
            "expected results of participants 07, 08 (sub-*/sub-*_summary.json) to make pages of, found none; ",
        ),
        ((), "expected results of participants (sub-*/sub-*_summary.json) to make pages of, found none; "),
    ],
)
def test_when_nobody_has_results_files_are_missing(labels, message, app, tmp_path):
    options = ("--participant-label", *labels) if labels else ()
    result = app(tmp_path, tmp_path / "out", "participant", "--reports-only", *options)
    assert result.code == 66
    assert f"{message}run the participant level first" in result.last_line
    assert not (tmp_path / "out").exists()


def test_the_page_of_the_group_is_made_anew(group_run, app, tmp_path):
    output = tmp_path / "derivatives"
    shutil.copytree(group_run.output, output, ignore=shutil.ignore_patterns("logs"))
    (output / "group.html").unlink()
    result = app("/nonexistent", output, "group", "--reports-only")
    assert (result.code, result.out) == (0, f"{output / 'group.html'}\n")
    assert page_of(output / "group.html") == page_of(group_run.output / "group.html")


def test_without_a_group_level_there_is_no_page_to_make_anew(output, app):
    result = app("/nonexistent", output, "group", "--reports-only")
    assert result.code == 66
    assert "group_summary.json: expected results of the group level, found none; run" in result.last_line


@pytest.mark.parametrize(
    ("level", "options", "message"),
    [
        ("participant", ("--reports-only", "--model", "separable"), "--model: is of no use with --reports-only"),
        ("participant", ("--reports-only", "--dry-run"), "--dry-run: is of no use with --reports-only"),
        ("participant", ("--reports-only", "--random-seed", "3"), "--random-seed: is of no use with --reports-only"),
        (
            "participant",
            ("--reports-only", "--boilerplate-only"),
            "--boilerplate-only: is of no use with --reports-only",
        ),
        ("group", ("--reports-only", "--group-column", "sex"), "--group-column: is of no use with --reports-only"),
        (
            "group",
            ("--reports-only", "--participant-label", "01"),
            "--participant-label: the page of the group is of those",
        ),
        ("participant", ("--boilerplate-only", "--dry-run"), "--dry-run: is of no use with --boilerplate-only"),
        (
            "participant",
            ("--boilerplate-only", "--model", "."),
            "--model: the run that applies a saved model writes its",
        ),
    ],
)
def test_what_is_of_no_use_beside_each_other_is_refused(level, options, message, dataset, app, tmp_path):
    result = app(dataset, tmp_path / "out", level, *options)
    assert result.code == 64
    assert message in result.err
    assert not (tmp_path / "out").exists()


# ------------------------------------------------------------------------------------------------------- the methods text


def test_the_methods_text_alone_is_that_of_a_run_with_the_same_settings(participant_run, settings_file, app, tmp_path):
    output = tmp_path / "derivatives"
    options = ("--config-file", settings_file, "--boilerplate-only")
    result = app(participant_run.dataset, output, "participant", *options)
    text, entries = output / "logs/CITATION.md", output / "logs/CITATION.bib"
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines() == [str(text), str(entries)]
    assert text.read_text() == (participant_run.output / "logs/CITATION.md").read_text()
    assert entries.read_text() == (participant_run.output / "logs/CITATION.bib").read_text()
    assert not list(output.glob("sub-*"))


def test_what_the_methods_text_cites_is_in_the_bibliography(participant_run):
    text, entries = ((participant_run.output / f"logs/CITATION.{ending}").read_text() for ending in ("md", "bib"))
    cited = set(re.findall(r"@([\w-]+)", text))
    assert len(cited) > 5
    assert cited == set(re.findall(r"^@\w+\{([\w-]+),", entries, re.MULTILINE))

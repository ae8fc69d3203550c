import json
import os
import subprocess
import sys
import time

import pytest

from bids_eeg2fmri import __version__
from bids_eeg2fmri.cli import available_cpus


def heavy_modules_of(*arguments):
    """Run the command line in a process of its own; give the heavy modules that it imported, and its exit code."""
    code = (
        "import sys\n"
        "from bids_eeg2fmri.cli import main\n"
        "try:\n    code = main(sys.argv[1:])\n"
        "except SystemExit as leaving:\n    code = leaving.code\n"
        "heavy = {'numpy', 'pandas', 'mne', 'bids', 'nibabel', 'keras', 'tensorflow', 'pydantic'} & set(sys.modules)\n"
        "print(sorted(heavy), code, file=sys.stderr)\n"
    )
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--help",), 0),
        (("--version",), 0),
        (("a", "b", "session"), 17),
        (("a", "b", "participant", "--nonsense"), 64),
        (("/nonexistent", "b", "participant"), 66),
    ],
)
def test_help_version_and_mistakes_are_answered_without_anything_heavy(arguments, code):
    assert heavy_modules_of(*arguments) == f"[] {code}"


def test_help_is_there_at_once():
    command = [sys.executable, "-m", "bids_eeg2fmri", "--help"]
    times = []
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run(command, capture_output=True, check=True)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.5


def test_help_tells_the_exit_codes(app):
    result = app("--help")
    assert result.code == 0
    assert "18 the filters select nothing" in " ".join(result.out.replace(";\n", "; ").split())


def test_the_version_is_that_of_the_package(app):
    assert app("--version").out.split() == ["bids_eeg2fmri", __version__]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a",), "the following arguments are required: output_dir"),
        (("a", "b", "participant", "--nonsense"), "unrecognized arguments: --nonsense"),
        (("a", "b", "participant", "--device", "tpu"), "argument --device: invalid choice: 'tpu'"),
        (("a", "b", "participant", "--random-seed", "x"), "argument --random-seed: invalid int value: 'x'"),
        (("a", "b", "participant", "--part", "01"), "unrecognized arguments: --part"),
        (("a", "b", "participant", "--n-cpus", "0"), "--n-cpus: expected at least 1, found 0"),
        (("a", "b", "participant", "--random-seed", "-1"), "--random-seed: expected a number from 0"),
    ],
)
def test_a_mistake_of_usage_is_64(arguments, message, app):
    result = app(*arguments)
    assert result.code == 64
    assert message in result.err
    assert "usage:" not in result.err


def test_an_unknown_level_is_17(dataset, app, tmp_path):
    result = app(dataset, tmp_path / "out", "participants")
    assert result.code == 17
    assert result.err == "bids_eeg2fmri: unknown level 'participants'; expected participant or group\n"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", ["--participant-label", "--participant_label"])
@pytest.mark.parametrize("label", ["02", "sub-02"])
def test_labels_are_taken_with_and_without_their_prefix(option, label, dataset, app, tmp_path):
    result = app(dataset, tmp_path / "out", "participant", option, label, "--list-participants")
    assert (result.code, result.out) == (0, "02\n")


def test_a_value_with_an_underscore_stays_as_it_is(dataset, app, tmp_path):
    path = tmp_path / "my_labels.txt"
    path.write_text("sub-03\n\n01\n")
    result = app(dataset, tmp_path / "out", "participant", f"--participant_label={path}", "--list-participants")
    assert (result.code, result.out) == (0, "01\n03\n")


def test_a_list_or_a_plan_leaves_no_trace(dataset, app, tmp_path):
    app(dataset, tmp_path / "out", "participant", "--list-participants")
    app(dataset, tmp_path / "out", "participant", "--dry-run")
    assert list(tmp_path.iterdir()) == []


def test_a_plan_tells_what_is_paired_and_why(dataset, app, tmp_path):
    result = app(dataset, tmp_path / "out", "participant", "--dry-run")
    assert result.code == 0
    rows = {line.split("\t")[0]: line for line in result.out.splitlines()}
    assert "\tpaired\tsame session, task, acquisition and run" in rows["sub-01_task-rest"]
    assert "\tEEG only\tthis participant has no BOLD" in rows["sub-04_task-rest"]


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("[training]\nmax_epoch = 3", 64, "training.max_epoch: there is no such setting; did you mean max_epochs?"),
        ("[training]\nmax_epochs = -3", 64, "training.max_epochs: input should be greater than or equal to 1, not -3"),
        ("[training", 64, "expected TOML"),
        (None, 66, "no readable file with settings; check --config-file"),
    ],
)
def test_wrong_settings_are_told_before_anything_is_done(text, code, message, dataset, app, tmp_path):
    path = tmp_path / "mine.toml"
    if text is not None:
        path.write_text(text)
    result = app(dataset, tmp_path / "out", "participant", "--config-file", path)
    assert result.code == code
    assert result.err.startswith("bids_eeg2fmri: ")
    assert message in result.err
    assert len(result.err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_an_unknown_architecture_of_the_settings_is_told_before_anything_is_done(dataset, app, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('[training]\narchitecture = "separabel"')
    result = app(dataset, tmp_path / "out", "participant", "--config-file", path)
    assert result.code == 64
    assert "separabel: no such architecture; did you mean separable?" in result.err
    assert len(result.err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_model_that_is_neither_architecture_nor_folder_is_refused(dataset, app, tmp_path):
    result = app(dataset, tmp_path / "out", "participant", "--model", "nonsense")
    assert result.code == 64
    assert (
        result.err == "bids_eeg2fmri: --model nonsense: expected the folder of a saved model or one of separable, "
        "found neither\n"
    )


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        (None, 66, "no readable file with filters"),
        ("{", 64, "expected JSON"),
        ("[1]", 64, "expected an object such as"),
        ('{"eeg": "rest"}', 64, "eeg: expected an object of entities, found 'rest'"),
    ],
)
def test_a_wrong_filter_file_is_told(content, code, message, copy, app, tmp_path):
    path = tmp_path / "filters.json"
    if content is not None:
        path.write_text(content)
    result = app(copy(), tmp_path / "out", "participant", "--dry-run", "--bids-filter-file", path)
    assert result.code == code
    assert message in result.err
    assert str(path) in result.err
    assert len(result.err.splitlines()) == 1


def test_filters_for_other_modalities_and_wildcards_are_ignored(copy, app, tmp_path):
    path = tmp_path / "filters.json"
    filters = {"t1w": {"session": "9"}, "fmap": {}, "eeg": {"task": "*", "session": None}, "bold": {"task": ["rest"]}}
    path.write_text(json.dumps(filters))
    result = app(copy(), tmp_path / "out", "participant", "--dry-run", "--bids-filter-file", path)
    assert result.code == 0
    assert "sub-01_task-rest\tpaired" in result.out


def test_no_more_processors_are_used_than_are_granted(monkeypatch):
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "1")
    assert available_cpus() == 1
    monkeypatch.delenv("SLURM_CPUS_PER_TASK")
    assert 1 <= available_cpus() <= len(os.sched_getaffinity(0))


def test_a_gpu_that_is_not_there_is_an_error(dataset, app, tmp_path):
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        pytest.skip("there is one")
    result = app(dataset, tmp_path / "out", "participant", "--device", "gpu")
    assert result.code == 64
    assert "--device gpu: expected a GPU, found none that the backend can use" in result.err


def test_the_group_level_needs_the_participant_level(dataset, app, tmp_path):
    result = app(dataset, tmp_path / "out", "group")
    assert result.code == 66
    assert "expected results of the participant level (sub-*/sub-*_summary.json), found none; run" in result.err
    assert not (tmp_path / "out").exists()

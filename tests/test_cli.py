import json
import os
import re
import shutil
import subprocess
import sys
import time

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from bids_eeg2fmri import __version__
from bids_eeg2fmri.cli import available_cpus
from bids_eeg2fmri.models.registry import list_architectures


def heavy_modules_of(*arguments):
    """Run the command line in a process of its own; give the heavy modules that it imported, and its exit code."""
    code = (
        "import sys\n"
        "from bids_eeg2fmri.cli import main\n"
        "try:\n    code = main(sys.argv[1:])\n"
        "except SystemExit as leaving:\n    code = leaving.code\n"
        "heavy = {'numpy', 'pandas', 'mne', 'bids', 'nibabel', 'keras', 'tensorflow', 'pydantic', 'rich'} & set(sys.modules)\n"
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


# --------------------------------------------------------------------------------------------------------------- the plan

COLUMNS = ["recording", "decision", "reason", "alignment", "would write"]


def rows_of(result):
    """The table of a dry run by recording, each row by column."""
    assert result.code == 0, result.err
    header, *rows = [line.split("\t") for line in result.out.splitlines()]
    assert header == COLUMNS
    return {row[0]: dict(zip(COLUMNS, row, strict=True)) for row in rows}


def remove_markers(dataset):
    path = dataset / "sub-01/eeg/sub-01_task-rest_eeg.vmrk"
    path.write_text("\n".join(line for line in path.read_text().splitlines() if "R128" not in line) + "\n")


def rename_eeg(dataset, name):
    for path in list((dataset / "sub-01/eeg").glob("*_task-rest_*")):
        renamed = path.rename(path.with_name(path.name.replace("task-rest", name)))
        if renamed.suffix in (".vhdr", ".vmrk"):
            renamed.write_text(renamed.read_text().replace("task-rest", name))


def test_a_plan_tells_what_is_paired_where_and_what_would_be_written(dataset, app, tmp_path):
    result = app(dataset, tmp_path / "out", "participant", "--dry-run")
    rows = rows_of(result)
    assert list(rows) == [f"sub-0{number}_task-rest" for number in (1, 2, 3, 4)]
    paired, alone = rows["sub-01_task-rest"], rows["sub-04_task-rest"]
    assert (paired["decision"], paired["reason"]) == ("paired", "same session, task, acquisition and run")
    assert (
        "'Response/R128' in sub-01_task-rest_eeg.vmrk: 100 volumes found, 100 stored; first volume at 14.3"
        in paired["alignment"]
    )
    assert paired["would write"] == "sub-01_task-rest_desc-synth_bold.nii.gz"
    assert [alone[column] for column in COLUMNS[1:]] == ["EEG only", "this participant has no BOLD", "n/a", "n/a"]
    assert result.err == "4 recordings: 3 paired, 1 EEG only\n"


def test_with_a_model_eeg_alone_would_be_synthesized(dataset, app, tmp_path):
    rows = rows_of(app(dataset, tmp_path / "out", "participant", "--dry-run", "--model", tmp_path))
    assert rows["sub-04_task-rest"]["would write"] == "sub-04_task-rest_desc-synth_bold.nii.gz"


def test_a_plan_tells_what_would_fail_with_the_numbers(copy, app, tmp_path):
    dataset = copy()
    remove_markers(dataset)
    result = app(dataset, tmp_path / "out", "participant", "--dry-run")
    row = rows_of(result)["sub-01_task-rest"]
    assert (row["decision"], row["would write"]) == ("paired", "n/a")
    assert result.err == "1 recording: 1 paired, 1 of the pairs not aligned\n"
    assert row["alignment"].startswith(
        f"failed: {dataset}/sub-01/eeg/sub-01_task-rest_eeg.vhdr: expected 100 volume markers"
    )
    assert "--assume-start-together" in row["alignment"]


def test_a_plan_goes_on_after_a_participant_whom_the_filters_leave_nothing(copy, app, tmp_path):
    dataset = copy(["01", "02"])
    for path in list((dataset / "sub-02").glob("*/*_task-rest_*")):
        path.rename(path.with_name(path.name.replace("task-rest", "task-nap")))
    rows = rows_of(app(dataset, tmp_path / "out", "participant", "--dry-run", "--task-label", "rest"))
    assert list(rows) == ["sub-01_task-rest"]


def test_the_user_may_say_that_both_start_together(copy, app, tmp_path):
    """Whatever else the settings say of the alignment."""
    dataset, path = copy(), tmp_path / "mine.toml"
    remove_markers(dataset)
    path.write_text("[alignment]\nn_dummies = 2\nassume_start_together = false\n")
    options = ["--dry-run", "--config-file", path, "--assume-start-together"]
    row = rows_of(app(dataset, tmp_path / "out", "participant", *options))["sub-01_task-rest"]
    assert row["alignment"].startswith(
        "assumed, as --assume-start-together says: the first volume starts with the EEG file; "
    )
    assert "nothing in the data confirms that EEG and BOLD start together" in row["alignment"]
    assert row["would write"] == "sub-01_task-rest_desc-synth_bold.nii.gz"


def test_what_is_of_no_use_to_the_group_level_is_refused_there(dataset, app, tmp_path):
    for option in ("--assume-start-together", "--dry-run"):
        result = app(dataset, tmp_path / "out", "group", option)
        assert result.code == 64
        assert result.err == f"bids_eeg2fmri: {option}: is for the participant level; leave it out\n"


PAIRS = """\
[[pairs]]
eeg = "sub-{subject}/eeg/sub-{subject}_task-sleep_eeg.vhdr"
bold = "sub-{subject}/func/sub-{subject}_task-rest_bold.nii.gz"
"""


def test_files_that_the_settings_map_onto_each_other_are_paired(copy, app, tmp_path):
    dataset, path = copy(), tmp_path / "mine.toml"
    rename_eeg(dataset, "task-sleep")
    path.write_text(PAIRS)
    without = rows_of(app(dataset, tmp_path / "out", "participant", "--dry-run"))
    assert {row["decision"] for row in without.values()} == {"not simultaneous"}
    [row] = rows_of(app(dataset, tmp_path / "out", "participant", "--dry-run", "--config-file", path)).values()
    assert (row["recording"], row["decision"], row["reason"]) == (
        "sub-01_task-rest",
        "paired",
        "mapped in the settings",
    )


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        (f"{PAIRS}egg = 3", 64, "pairs.0.egg: there is no such setting; did you mean eeg?"),
        (PAIRS.replace("eeg =", "egg ="), 64, "pairs.0.eeg: field required"),
        (PAIRS.replace("[[", "[").replace("]]", "]"), 64, "pairs: expected tables that each start with [[pairs]]"),
        (PAIRS.replace("sleep", "{task}"), 64, "[[pairs]]: expected the same names in braces in"),
        (PAIRS.replace("task-rest", "task-nap").replace("task-sleep", "task-rest"), 66, "expected as partner of"),
    ],
    ids=["a name", "a missing name", "a table", "braces", "no partner"],
)
def test_a_wrong_pair_is_told_in_one_line(text, code, message, copy, app, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    result = app(copy(), tmp_path / "out", "participant", "--dry-run", "--config-file", path)
    assert result.code == code
    assert message in result.err
    assert len(result.err.splitlines()) == 1


# --------------------------------------------------------------------------------------------------------------- mistakes


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
        result.err == "bids_eeg2fmri: --model nonsense: expected the folder of a saved model or one of "
        f"{', '.join(list_architectures())}, found neither\n"
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


# ------------------------------------------------------------------------------------ EEG that starts during a task series

LATE_S = 7.3
STEM = "sub-01_task-checkerboard"


def start_late(eeg, *, by_s, sfreq=250, n_channels=12):
    """Cut the beginning of a BrainVision file away, with its markers."""
    n = round(by_s * sfreq)
    data = eeg.with_suffix(".eeg")
    data.write_bytes(data.read_bytes()[n * n_channels * 2 :])
    lines = []
    for line in eeg.with_suffix(".vmrk").read_text().splitlines():
        head, position, tail = re.fullmatch(r"(Mk\d+=[^,]*,[^,]*,)(\d+)(.*)|.*", line).groups()
        if head is None:
            lines.append(line)
        elif int(position) > n:
            lines.append(f"{head}{int(position) - n}{tail}")
    eeg.with_suffix(".vmrk").write_text("\n".join(lines) + "\n")
    eeg.with_name(f"{STEM}_events.tsv").unlink()
    sidecar = json.loads(eeg.with_suffix(".json").read_text())
    eeg.with_suffix(".json").write_text(
        json.dumps(sidecar | {"RecordingDuration": sidecar["RecordingDuration"] - by_s})
    )


@pytest.fixture(scope="module")
def late(tmp_path_factory, app, settings_file):
    """Run the app on an EEG that starts after the first four volumes; give the folder of its series."""
    from bids_eeg2fmri.testing.simulate import Simulation, simulate_dataset

    folder = tmp_path_factory.mktemp("late")
    dataset = folder / "dataset"
    simulation = Simulation(
        n_participants=1, tasks=("checkerboard",), duration_s=200.0, n_channels=12, grid=(12, 14, 11), lead_s=0.5
    )
    simulate_dataset(dataset, simulation)
    start_late(dataset / f"sub-01/eeg/{STEM}_eeg.vhdr", by_s=LATE_S)
    result = app(dataset, folder / "derivatives", "participant", "--config-file", settings_file, "--n-cpus", 2)
    assert result.code == 0, result.err
    shutil.copy(dataset / f"sub-01/func/{STEM}_events.tsv", folder / "source_events.tsv")
    return folder / "derivatives/sub-01/func"


def test_volumes_before_the_eeg_are_placed_by_the_clock_model_and_not_synthesized(late):
    onsets_s = 0.5 - LATE_S + 2.0 * np.arange(100)
    alignment = pd.read_csv(late / f"{STEM}_desc-alignment_timeseries.tsv", sep="\t")
    np.testing.assert_allclose(alignment.onset, onsets_s, atol=0.002)
    assert alignment.marker.isna().tolist() == (onsets_s < 0).tolist() == [v < 4 for v in range(100)]
    assert alignment.eeg.tolist() == (onsets_s >= 0).tolist()
    told = json.loads((late / f"{STEM}_desc-alignment_timeseries.json").read_text())
    # Four may be missing at the start or at the end: the stimuli in the EEG's markers and in the BOLD's table tell.
    assert (
        "96 volumes found, 100 stored, 4 volumes before the first marker, as the events of both sides tell"
        in told["Evidence"]
    )
    volumes = pd.read_csv(late / f"{STEM}_desc-synth_timeseries.tsv", sep="\t")
    # 18 s of lags and a frame of 2 s.
    assert volumes.synthesized.tolist() == (onsets_s >= 20).tolist()
    assert nib.load(late / f"{STEM}_desc-synth_bold.nii.gz").shape[3] == 100


def test_a_glm_runs_unchanged_on_what_was_synthesized(late):
    from nilearn.glm.first_level import FirstLevelModel

    events = late / f"{STEM}_desc-synth_events.tsv"
    source = pd.read_csv(late.parents[2] / "source_events.tsv", sep="\t")
    np.testing.assert_allclose(pd.read_csv(events, sep="\t").onset, source.onset, atol=1e-3)
    model = FirstLevelModel(t_r=2.0)
    model.fit(late / f"{STEM}_desc-synth_bold.nii.gz", events=events)
    assert "checkerboard" in model.design_matrices_[0].columns
    z_map = model.compute_contrast("checkerboard", output_type="z_score").get_fdata()
    assert np.isfinite(z_map).all()
    assert np.abs(z_map).max() > 1


def test_one_participants_fault_leaves_the_plan_of_the_others(copy, app, tmp_path):
    dataset = copy(("01", "02"))
    (dataset / "sub-02/eeg/sub-02_task-rest_eeg.vhdr").write_text("no header")
    (dataset / "sub-02/sub-02_scans.tsv").write_text("")
    result = app(dataset, tmp_path / "out", "participant", "--dry-run")
    rows = rows_of(result)
    assert rows["sub-01_task-rest"]["would write"] == "sub-01_task-rest_desc-synth_bold.nii.gz"
    assert rows["sub-02_task-rest"]["alignment"].startswith("failed: ")


@pytest.mark.parametrize(
    "eeg", ["sub-{subject}/eeg/sub-{subject}_task-typo_eeg.vhdr", "/etc/sub-01_eeg.vhdr", "sub-*/x_eeg.edf"]
)
def test_a_pair_that_nobody_has_is_a_slip_of_the_pen(eeg, copy, app, tmp_path):
    settings = tmp_path / "pairs.toml"
    bold = "sub-{subject}/func/sub-{subject}_task-rest_bold.nii.gz" if "{" in eeg else "sub-01_bold.nii"
    settings.write_text(f'[[pairs]]\neeg = "{eeg}"\nbold = "{bold}"\n')
    result = app(copy(), tmp_path / "out", "participant", "--dry-run", "--config-file", settings)
    assert result.code == 64
    assert "[[pairs]]: expected" in result.last_line

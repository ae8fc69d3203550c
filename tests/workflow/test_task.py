import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from bids_eeg2fmri.bids.derivatives import Derivatives, labels_of
from bids_eeg2fmri.bold.grid import percent_change
from bids_eeg2fmri.workflow.account import Account, Task
from bids_eeg2fmri.workflow.task import compare_task_maps

# That of the runs in conftest.py.
GRID_MASK = np.random.default_rng(5).random((7, 8, 9)) < 0.3
ODD = ('<b>"stop signal"</b>', "n/a", "müde", "疲れ")


@pytest.fixture
def compare(make_run, quick, tmp_path):
    """Compare the maps of a run of 150 volumes whose BOLD follows the EEG; give rows, the account's entry, the output."""

    def compare(events, predicted=None, blocks=None):
        run = replace(make_run(150), events=events)
        measured = percent_change(run.table, run.table.mean(0))
        blocks = np.arange(150) // 50 if blocks is None else blocks
        account = Account(
            Task(Path(), Derivatives(tmp_path, Path()), quick), "01", [run.recording], [], {}, frame_s=2.0
        )
        by_model = {name: [values] for name, values in (predicted or {"separable": 0.3 * measured}).items()}
        rows = compare_task_maps(account, [run], [measured], by_model, [blocks], run.grid)
        return rows, account.entries[run.recording.file]

    return compare


def trials(*kinds):
    onsets = np.arange(6.0, 290.0, 15.0)
    return pd.DataFrame({"onset": onsets, "duration": 4.0, "trial_type": np.resize(kinds, len(onsets))})


def load(path):
    return nib.load(path).get_fdata()


def test_a_run_without_events_has_no_maps(compare):
    rows, entry = compare(None)
    assert rows == []
    assert "task_maps" not in entry


def test_every_model_that_changes_has_a_row_for_every_contrast(compare):
    rng = np.random.default_rng(3)
    n_voxels = np.count_nonzero(GRID_MASK)
    predicted = {
        "separable": rng.standard_normal((150, n_voxels)).astype(np.float32),
        "time only": rng.standard_normal((150, n_voxels)).astype(np.float32),
        "mean image": np.zeros((150, n_voxels), dtype=np.float32),
    }
    rows, entry = compare(trials("faces", "houses"), predicted)
    assert [(row["condition"], row["model"]) for row in rows] == [
        (condition, model)
        for condition in ("faces", "houses", "faces - houses")
        for model in ("separable", "time only")
    ]
    assert {row["recording"] for row in rows} == {"sub-01_task-rest_run-1"}
    assert {row["threshold_share"] for row in rows} == {0.05}
    assert [maps["condition"] for maps in entry["task_maps"]] == ["faces", "houses", "faces - houses"]


def test_odd_names_become_names_of_files_and_are_kept_in_the_sidecar(compare, tmp_path):
    rows, entry = compare(trials(*ODD))
    conditions = [maps["condition"] for maps in entry["task_maps"]]
    assert set(conditions) >= set(ODD) - {"n/a"}
    assert {row["condition"] for row in rows} == set(conditions)
    assert entry["task_left_out"] == {"n/a": "5 events of no kind"}
    for maps in entry["task_maps"]:
        for side in ("measured", "synthesized"):
            path = tmp_path / maps[side]
            assert path.is_file()
            label = path.name.partition("_contrast-")[2].partition("_")[0]
            assert label.isascii()
            assert label.isalnum()
            sidecar = json.loads(Path(str(path).removesuffix(".nii.gz") + ".json").read_text())
            assert sidecar["Contrast"] == maps["condition"]
            assert sidecar["Units"] == "z"
            assert sidecar["DesignMatrix"]["LeftOut"] == {"n/a": "5 events of no kind"}
    assert len({maps["measured"].lower() for maps in entry["task_maps"]}) == len(conditions)


def test_a_third_of_the_measurement_gives_a_third_of_its_map(compare, tmp_path):
    rows, entry = compare(trials("faces"))
    [maps] = entry["task_maps"]
    measured, synthesized = load(tmp_path / maps["measured"]), load(tmp_path / maps["synthesized"])
    assert measured.shape == (7, 8, 9)
    assert not measured[~GRID_MASK].any()
    assert measured[GRID_MASK].all()
    np.testing.assert_allclose(synthesized, 0.3 * measured, atol=0.03 * np.abs(measured).max())
    assert [row["dice"] for row in rows] == [pytest.approx(1)]
    assert rows[0]["r"] == pytest.approx(1, abs=1e-2)


def test_volumes_that_were_not_predicted_have_no_say(compare):
    n_voxels = np.count_nonzero(GRID_MASK)
    predicted = np.random.default_rng(4).standard_normal((150, n_voxels)).astype(np.float32)
    spoiled = predicted.copy()
    blocks = np.arange(150) // 50
    blocks[:8] = blocks[97:103] = -1
    spoiled[blocks < 0] = 1e4
    clean, _ = compare(trials("faces"), {"separable": predicted}, blocks)
    assert clean == compare(trials("faces"), {"separable": spoiled}, blocks)[0]
    assert clean != compare(trials("faces"), {"separable": predicted})[0]


def test_events_too_few_for_a_map_are_told(compare):
    rows, entry = compare(trials("faces")[:2])
    assert (rows, entry["task_maps"]) == ([], [])
    assert entry["task_left_out"] == {"faces": "2 events during the volumes, 3 are needed"}


def test_labels_are_short_enough_for_any_file_system():
    first, second = labels_of(["a b" * 200, "a b" * 199])
    assert first != second
    assert len(second) < 90


# ------------------------------------------------------------------------------------------------------- a run of the app


@pytest.fixture(scope="module")
def task_run(tmp_path_factory, app, settings_file):
    """A participant who looked at a checkerboard, by a model of its own and then by that saved model."""
    from bids_eeg2fmri.testing.simulate import Simulation, simulate_dataset

    folder = tmp_path_factory.mktemp("task")
    simulation = Simulation(
        n_participants=1,
        tasks=("checkerboard",),
        duration_s=260.0,
        n_channels=11,
        grid=(13, 15, 12),
        lead_s=14.3,
        coupling=3.0,
        seed=2,
    )
    truth = simulate_dataset(folder / "dataset", simulation)
    for output, options in (("own", ()), ("saved", ("--model", folder / "own/models/sub-01"))):
        result = app(folder / "dataset", folder / output, "participant", "--config-file", settings_file, *options)
        assert result.code == 0, result.err
    return folder, truth


def summary_of(output):
    return json.loads((output / "sub-01/sub-01_summary.json").read_text())


def test_the_participant_level_writes_maps_of_the_task(task_run):
    folder, truth = task_run
    summary = summary_of(folder / "own")
    models = {row["model"]: row for row in summary["task"]}
    assert {"smooth", "lagged band-power ridge", "time only"} <= set(models)
    assert "mean image" not in models
    assert all(-1 <= row["r"] <= 1 and 0 <= row["dice"] <= 1 for row in models.values())
    [maps] = summary["recordings"][0]["task_maps"]
    measured = load(folder / "own" / maps["measured"])
    occipital = load(truth / "regions.nii.gz") == 1
    # Less alpha, more BOLD.
    assert np.median(measured[occipital & (measured != 0)]) > 2
    assert np.median(np.abs(measured[~occipital & (measured != 0)])) < 1.5


def test_the_synthesized_map_shows_where_the_task_is(task_run):
    folder, truth = task_run
    [maps] = summary_of(folder / "own")["recordings"][0]["task_maps"]
    synthesized = load(folder / "own" / maps["synthesized"])
    occipital = load(truth / "regions.nii.gz") == 1
    assert np.median(synthesized[occipital & (synthesized != 0)]) > 1
    assert np.median(np.abs(synthesized[~occipital & (synthesized != 0)])) < 0.7


def test_a_saved_model_is_judged_by_the_map_of_the_task_as_well(task_run):
    summary = summary_of(task_run[0] / "saved")
    assert [(row["condition"], row["model"]) for row in summary["task"]] == [("checkerboard", "smooth")]
    [maps] = summary["recordings"][0]["task_maps"]
    for side, desc in (("measured", "measured"), ("synthesized", "synth")):
        name = f"sub-01/func/sub-01_task-checkerboard_contrast-checkerboard_desc-{desc}_statmap.nii.gz"
        assert maps[side] == name
        assert (task_run[0] / "saved" / name).is_file()


def test_the_dataset_with_maps_of_a_task_is_valid(task_run):
    validator = shutil.which("bids-validator-deno", path=Path(sys.executable).parent)
    if validator is None:
        pytest.skip("bids-validator-deno is not installed")
    command = [validator, "--json", "--ignoreWarnings", str(task_run[0] / "own")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    issues = json.loads(done.stdout)["issues"]["issues"]
    assert [issue for issue in issues if issue["severity"] == "error"] == []

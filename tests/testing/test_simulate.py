import json
from dataclasses import replace

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from bids_eeg2fmri.testing.simulate import Simulation, hemodynamic_response, main, simulate_dataset

SMALL = Simulation(
    n_participants=1, tasks=("rest",), duration_s=60.0, n_channels=9, grid=(8, 9, 7), tr_s=1.5, sfreq=500.0, seed=3
)
STEM = "sub-01/func/sub-01_task-rest"


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    path = tmp_path_factory.mktemp("small") / "dataset"
    return path, simulate_dataset(path, SMALL)


def test_the_same_seed_gives_the_same_dataset(simulated, hash_files, tmp_path):
    simulate_dataset(tmp_path / "dataset", SMALL)
    again, before = hash_files(tmp_path / "dataset"), hash_files(simulated[0])
    # The headers of gzip and BrainVision may hold the time of writing.
    stable = [name for name in before if not name.endswith((".gz", ".vmrk", ".vhdr"))]
    assert [again[name] for name in stable] == [before[name] for name in stable]
    images = (nib.load(path / f"{STEM}_bold.nii.gz").get_fdata() for path in (simulated[0], tmp_path / "dataset"))
    np.testing.assert_array_equal(*images)


def test_another_seed_gives_another(simulated, tmp_path):
    simulate_dataset(tmp_path / "dataset", replace(SMALL, seed=4))
    a, b = (nib.load(path / f"{STEM}_bold.nii.gz").get_fdata() for path in (simulated[0], tmp_path / "dataset"))
    assert not np.array_equal(a, b)


def test_sizes_are_what_was_asked_for(simulated):
    import mne

    image = nib.load(simulated[0] / f"{STEM}_bold.nii.gz")
    assert image.shape == (8, 9, 7, 40)
    assert image.header.get_zooms()[3] == 1.5
    raw = mne.io.read_raw_brainvision(simulated[0] / "sub-01/eeg/sub-01_task-rest_eeg.vhdr", verbose="error")
    assert raw.info["sfreq"] == 500
    assert len(raw.ch_names) == 9
    assert raw.ch_names[-1] == "ECG"


def test_markers_are_where_the_truth_says(simulated):
    import mne

    path, truth = simulated
    raw = mne.io.read_raw_brainvision(path / "sub-01/eeg/sub-01_task-rest_eeg.vhdr", verbose="error")
    onsets = raw.annotations.onset[[d.endswith("R128") for d in raw.annotations.description]]
    table = pd.read_csv(truth / "sub-01_task-rest_truth.tsv", sep="\t")
    np.testing.assert_allclose(onsets, table.onset_eeg_s, atol=0.001)
    assert onsets[0] > 5


def test_the_truth_is_beside_the_dataset_and_not_in_it(simulated):
    path, truth = simulated
    assert truth == path.with_name("dataset_truth")
    assert not list(path.rglob("*truth*"))
    assert json.loads((truth / "truth.json").read_text())["simulation"]["seed"] == 3


def test_the_heart_beats_where_the_truth_says_and_its_rate_wanders(simulated):
    import mne

    path, truth = simulated
    raw = mne.io.read_raw_brainvision(path / "sub-01/eeg/sub-01_task-rest_eeg.vhdr", verbose="error")
    beats_s = pd.read_csv(truth / "sub-01_task-rest_heart.tsv", sep="\t").beat_eeg_s.to_numpy()
    ecg = raw.get_data(picks=["ECG"])[0]
    around = np.rint(beats_s[1:-1] * 500).astype(int)[:, None] + np.arange(-150, 150)
    assert np.abs(ecg[around].argmax(1) - 150).max() <= 4
    rate = 60 / np.diff(beats_s)
    assert 55 < rate.mean() < 80
    assert 2 < rate.std() < 9


def test_loops_of_carbon_wire_see_how_the_head_turns_and_nothing_else(simulated, tmp_path):
    import mne

    options = ["--participants", "1", "--tasks", "rest", "--duration", "60", "--channels", "9", "--grid", "8", "9", "7",
               "--tr", "1.5", "--sfreq", "500", "--seed", "3"]  # fmt: skip
    main([str(tmp_path / "moving"), *options, "--motion", "200", "--wires", "2"])
    still, moving = (path / "sub-01/eeg/sub-01_task-rest_eeg.vhdr" for path in (simulated[0], tmp_path / "moving"))
    table = pd.read_csv(moving.with_name("sub-01_task-rest_channels.tsv"), sep="\t")
    assert list(table.name[-3:]) == ["ECG", "CWL1", "CWL2"]
    assert list(table.type[-3:]) == ["ECG", "MISC", "MISC"]
    before, after = (mne.io.read_raw_brainvision(path, verbose="error").get_data() for path in (still, moving))
    np.testing.assert_array_equal(after[8], before[8])  # the ECG
    # What is new in the EEG is what the head induced: three ways to turn, that loops see as well.
    added, loops = after[:8] - before[:8], after[9:]
    variance = np.linalg.svd(added, compute_uv=False) ** 2
    assert variance[:3].sum() > 0.99 * variance.sum()
    assert np.abs(added).max() > 50e-6
    foretold = added @ np.linalg.pinv(loops) @ loops
    assert 1 - (added - foretold).var() / added.var() > 0.5
    assert np.abs(np.corrcoef(before[:8], loops)[:8, 8:]).max() < 0.2


def test_without_coupling_there_is_no_truth_to_find(tmp_path):
    truth = simulate_dataset(tmp_path / "null", replace(SMALL, coupling=0.0))
    table = pd.read_csv(truth / "sub-01_task-rest_truth.tsv", sep="\t")
    assert not table[["occipital", "sensorimotor", "medial_frontal"]].to_numpy().any()
    ceiling = nib.load(truth / "sub-01_task-rest_ceiling.nii.gz").get_fdata()
    assert np.abs(ceiling).max() == 0


def test_a_folder_that_holds_something_is_not_written_to(tmp_path):
    (tmp_path / "mine").write_text("")
    with pytest.raises(FileExistsError, match="the folder is not empty; simulate into a new one"):
        simulate_dataset(tmp_path, SMALL)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_channels": 200}, "n_channels: from 8 to"),
        ({"sfreq": 50.0}, "sfreq: at least 125 Hz"),
        ({"lead_s": 90.0}, "lead_s: from 0 to 30 s"),
        ({"group_effect": 2.0}, "group_effect: from 0 to 1"),
        ({"n_wires": -1}, "n_wires: 0 or more"),
    ],
)
def test_what_can_not_be_simulated_is_told(change, message):
    with pytest.raises(ValueError, match=message):
        replace(SMALL, **change)


def test_the_command_line_simulates(tmp_path, capsys):
    main([str(tmp_path / "dataset"), "--participants", "1", "--eeg-only", "1", "--tasks", "checkerboard", "--duration",
          "90", "--grid", "7", "9", "8", "--channels", "8"])  # fmt: skip
    assert f"dataset: {tmp_path / 'dataset'}" in capsys.readouterr().out
    assert (tmp_path / "dataset/sub-01/func/sub-01_task-checkerboard_events.tsv").is_file()
    assert not (tmp_path / "dataset/sub-02/func").exists()


def test_the_response_has_area_1_and_peaks_where_it_should():
    response = hemodynamic_response(5.5, 0.2, 10.0)
    assert response.sum() == pytest.approx(1)
    assert np.argmax(response) / 10 == pytest.approx(5.5, abs=0.2)

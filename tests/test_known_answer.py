"""A dataset with a known answer, and one with none: what was simulated is found, and nothing else."""

import json
from dataclasses import replace

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from bids_eeg2fmri.cli import main
from bids_eeg2fmri.evaluation.metrics import Course, measure_agreement
from bids_eeg2fmri.testing.simulate import Simulation, simulate_dataset
from bids_eeg2fmri.workflow.scoring import nuisance

# One run as long as those of real datasets; a small brain, so that the suite stays short.
SIMULATION = Simulation(
    n_participants=3, tasks=("rest",), duration_s=480.0, n_channels=16, grid=(21, 25, 19), lead_s=14.3, seed=11
)
# As by default, but for fewer draws, and fewer epochs of larger steps.
SETTINGS = """\
[training]
max_epochs = 12
learning_rate = 0.01

[evaluation]
n_shifts = 200
n_surrogates = 19
"""


def run(folder, simulation):
    """Simulate, run both levels, give the folders of dataset, truth and derivatives."""
    dataset, output, settings = folder / "dataset", folder / "derivatives", folder / "settings.toml"
    settings.write_text(SETTINGS)
    truth = simulate_dataset(dataset, simulation)
    for level in ("participant", "group"):
        assert main([str(dataset), str(output), level, "--config-file", str(settings), "--n-cpus", "1"]) == 0
    return dataset, truth, output


@pytest.fixture(scope="module")
def coupled(tmp_path_factory):
    return run(tmp_path_factory.mktemp("coupled"), SIMULATION)


@pytest.fixture(scope="module")
def null(tmp_path_factory):
    return run(tmp_path_factory.mktemp("null"), replace(SIMULATION, coupling=0.0))


def load(path):
    return np.asarray(nib.load(path).dataobj)


def summary_of(output, subject):
    return json.loads((output / f"sub-{subject}" / f"sub-{subject}_summary.json").read_text())


def r_by_region(truth, output, subject):
    """Voxel-wise r of a participant, and which voxels are coupled."""
    stem = f"sub-{subject}_task-rest"
    func = output / f"sub-{subject}" / "func"
    inside = load(func / f"{stem}_desc-brain_mask.nii.gz") > 0
    r = load(func / f"{stem}_desc-synth_statmap.nii.gz")[inside]
    return r, (load(truth / "regions.nii.gz") > 0)[inside], load(truth / f"{stem}_ceiling.nii.gz")[inside]


@pytest.mark.parametrize("subject", ["01", "02", "03"])
def test_coupled_voxels_are_found_and_others_are_not(coupled, subject):
    _, truth, output = coupled
    r, is_coupled, ceiling = r_by_region(truth, output, subject)

    assert np.median(ceiling[is_coupled]) == pytest.approx(0.6, abs=0.06)
    assert np.median(r[is_coupled]) > 0.4
    assert abs(np.median(r[~is_coupled])) < 0.1


def test_the_written_series_holds_the_correlation_that_is_reported(coupled):
    dataset, _, output = coupled
    func = output / "sub-01" / "func"
    inside = load(func / "sub-01_task-rest_desc-brain_mask.nii.gz") > 0
    volumes = pd.read_csv(func / "sub-01_task-rest_desc-synth_timeseries.tsv", sep="\t")
    synthesized = load(func / "sub-01_task-rest_desc-synth_bold.nii.gz")[inside].T
    measured = load(dataset / "sub-01" / "func" / "sub-01_task-rest_bold.nii.gz")[inside].T.astype(float)
    blocks = np.where(volumes.synthesized, volumes.fold, -1)
    drift = nuisance(blocks, tr_s=2.0, drift_period_s=128.0)
    r = measure_agreement([Course(measured[blocks >= 0], synthesized[blocks >= 0], drift)]).r
    reported = load(func / "sub-01_task-rest_desc-synth_statmap.nii.gz")[inside]

    np.testing.assert_allclose(r, reported, atol=0.03)  # integers on disk


def test_verdicts_on_coupled_data_say_better_than_chance(coupled):
    _, _, output = coupled
    for subject in ("01", "02", "03"):
        assert summary_of(output, subject)["verdict"]["better_than_chance"] is True
    group = json.loads((output / "group_summary.json").read_text())

    assert group["verdict"]["headline"] == "Better than chance within participants and between participants"
    assert "Better than chance" in (output / "group.html").read_text()


def test_finds_nothing_where_there_is_nothing(null):
    _, truth, output = null
    for subject in ("01", "02", "03"):
        r, is_coupled, _ = r_by_region(truth, output, subject)
        assert abs(np.median(r)) < 0.1
        assert abs(np.median(r[is_coupled])) < 0.1
        verdict = summary_of(output, subject)["verdict"]
        assert verdict["better_than_chance"] is False
        assert verdict["headline"] in ("No better than chance", "The model gives a constant image")
        assert verdict["headline"] in (output / f"sub-{subject}.html").read_text()
    verdict = json.loads((output / "group_summary.json").read_text())["verdict"]

    assert verdict["better_than_chance"] is False
    assert verdict["headline"] in ("No better than chance", "The models give constant images")
    assert verdict["headline"] in (output / "group.html").read_text()


def test_the_first_volume_may_come_at_any_time_of_the_eeg(coupled, tmp_path):
    """EEG that starts 14.3 s early, and EEG that starts with the first volume, give the same scores."""
    _, truth, output = coupled
    together = replace(SIMULATION, n_participants=1, lead_s=0.0)
    simulate_dataset(tmp_path / "dataset", together)
    (tmp_path / "settings.toml").write_text(SETTINGS)
    quick = ["--config-file", str(tmp_path / "settings.toml"), "--n-cpus", "1"]
    assert main([str(tmp_path / "dataset"), str(tmp_path / "derivatives"), "participant", *quick]) == 0
    early, late = summary_of(output, "01"), summary_of(tmp_path / "derivatives", "01")

    assert early["recordings"][0]["first_volume_s"] == pytest.approx(14.3, abs=0.004)
    assert late["recordings"][0]["first_volume_s"] == pytest.approx(0.0, abs=0.004)
    r_early, is_coupled, _ = r_by_region(truth, output, "01")
    r_late, _, _ = r_by_region(truth, tmp_path / "derivatives", "01")
    # The first volumes lack EEG in one of them, and a few training samples with that: nothing else differs.
    assert np.median(r_late[is_coupled]) == pytest.approx(np.median(r_early[is_coupled]), abs=0.03)
    assert np.corrcoef(r_early, r_late)[0, 1] > 0.9


def test_a_model_of_the_group_serves_a_participant_without_bold(coupled, tmp_path):
    _, _, output = coupled
    newcomer = tmp_path / "dataset"
    # The fourth participant of the same simulation, with EEG alone.
    simulate_dataset(newcomer, replace(SIMULATION, n_eeg_only=1))
    arguments = ["--participant-label", "04", "--model", str(output / "models" / "group")]
    assert main([str(newcomer), str(tmp_path / "derivatives"), "participant", *arguments]) == 0
    image = nib.load(tmp_path / "derivatives" / "sub-04" / "func" / "sub-04_task-rest_desc-synth_bold.nii.gz")

    assert image.shape[:3] == SIMULATION.grid
    assert image.shape[3] > 200
    assert image.header.get_zooms()[3] == pytest.approx(2.0)
    assert np.asarray(image.dataobj)[..., 100:].std(-1).max() > 0


def test_a_model_does_not_judge_itself_by_what_it_learned(coupled, tmp_path):
    dataset, _, output = coupled
    arguments = ["--participant-label", "01", "--model", str(output / "models" / "group")]
    assert main([str(dataset), str(tmp_path), "participant", *arguments]) == 0

    summary = summary_of(tmp_path, "01")
    assert summary["verdict"]["headline"].startswith("No verdict: the model was trained on")
    assert "chance" not in summary  # nothing that a group could take for evidence

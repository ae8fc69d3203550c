"""A run or session that is held out is predicted from the others alone."""

import json
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from bids_eeg2fmri.errors import InputDataError
from bids_eeg2fmri.evaluation.splits import hold_out
from bids_eeg2fmri.testing.simulate import Simulation, simulate_dataset
from bids_eeg2fmri.workflow.training import (
    learn_targets,
    make_trainer,
    predict_by_ridge,
    predict_out_of_sample,
    samples_of,
    train_on_all,
    windows_of,
)


@pytest.fixture(scope="module")
def by_run(quick):
    return replace(quick, training=replace(quick.training, hold_out="run"))


@pytest.fixture(scope="module")
def runs(make_run):
    return [make_run(70, seed=0), make_run(60, seed=1), make_run(50, seed=2)]


@pytest.fixture(scope="module")
def original(runs, by_run):
    return predict_out_of_sample(runs, by_run, seed=0, report=lambda what: None)


def load(path):
    return np.asarray(nib.load(path).dataobj)


def in_sessions(runs, labels):
    """The same runs by names with a session."""
    renamed = []
    for number, (run, label) in enumerate(zip(runs, labels, strict=True)):
        stem = f"sub-01_ses-{label}_task-rest_run-{number + 1}"
        recording = replace(run.recording, eeg=Path(f"{stem}_eeg.vhdr"), bold=Path(f"{stem}_bold.nii.gz"))
        renamed.append(replace(run, recording=recording))
    return renamed


def in_one_eeg_recording(runs, seconds_between):
    """The same runs one after the other on one clock."""
    placed, start = [], 0.0
    for run in runs:
        spectrum = replace(run.spectrum, ends_s=run.spectrum.ends_s + start)
        recording = replace(run.recording, eeg=runs[0].recording.eeg)
        placed.append(replace(run, onsets_s=run.onsets_s + start, spectrum=spectrum, recording=recording))
        start = placed[-1].onsets_s[-1] + run.tr_s + seconds_between - run.onsets_s[0]
    return placed


def train_without(held_out, runs, settings):
    """What the fold of a run learns, and what it says of the run."""
    windows, lags = windows_of(runs, settings)
    split = hold_out(samples_of(runs, windows, settings), "run", n_folds=settings.training.n_folds)[held_out]
    learned = learn_targets(runs, windows, split.train, settings)
    trainer = make_trainer(runs[0].spectrum, lags, learned.targets.shape[1], settings, seed=0)
    history = trainer.fit(windows, learned.targets, split.train, split.inner, independent=0.3)
    power = windows.power.mean(2)[windows.frames].reshape(len(windows), -1)
    ridge = predict_by_ridge(lambda which: power[which], learned.targets, split, 0.3)
    return learned, history, trainer.model.get_weights(), trainer.predict(windows, split.test), ridge


@pytest.mark.parametrize(("held_out", "poisoned"), [(0, "BOLD"), (2, "BOLD and EEG")])
def test_nan_in_a_held_out_run_reaches_nothing_that_is_learned(held_out, poisoned, runs, by_run):
    poison = replace(runs[held_out], table=np.full_like(runs[held_out].table, np.nan))
    if poisoned == "BOLD and EEG":
        spectrum = replace(poison.spectrum, power=np.full_like(poison.spectrum.power, np.nan))
        poison = replace(poison, spectrum=spectrum)
    learned, history, weights, network, ridge = train_without(held_out, runs, by_run)
    other, history_of_other, weights_of_other, *predicted_by_other = train_without(
        held_out, [poison if number == held_out else run for number, run in enumerate(runs)], by_run
    )
    np.testing.assert_array_equal(other.targets, learned.targets)
    np.testing.assert_array_equal(other.basis.components, learned.basis.components)
    np.testing.assert_array_equal(other.baselines, learned.baselines)
    assert np.isfinite(learned.baselines).all()
    assert history_of_other == history
    for one, another in zip(weights, weights_of_other, strict=True):
        np.testing.assert_array_equal(another, one)
    for one, another in zip((network, ridge), predicted_by_other, strict=True):
        assert np.isfinite(one).all()
        if poisoned == "BOLD":
            np.testing.assert_array_equal(another, one)
        else:  # a prediction needs the EEG: that it is poison shows that the poison was there
            assert np.isnan(another).all()


def test_a_held_out_run_has_no_say_in_its_own_prediction(runs, original, by_run):
    table = (600 + 300 * np.random.default_rng(1).standard_normal(runs[1].table.shape)).astype(np.float32)
    changed = predict_out_of_sample(
        [runs[0], replace(runs[1], table=table), runs[2]], by_run, seed=0, report=lambda what: None
    )
    for model in ("smooth", "lagged band-power ridge", "time only", "mean image"):
        np.testing.assert_array_equal(changed.predicted[model][1], original.predicted[model][1])
    np.testing.assert_array_equal(changed.baselines[1], original.baselines[1])
    assert not np.array_equal(changed.predicted["smooth"][0], original.predicted["smooth"][0])
    assert not np.array_equal(changed.baselines[0], original.baselines[0])


def test_what_is_coupled_is_found_in_a_run_that_was_held_out(runs, original):
    for number, run in enumerate(runs):
        use = original.complete[number]
        measured = 100 * (run.table / run.table.mean(0) - 1)
        r = np.corrcoef(original.predicted["smooth"][number][use].ravel(), measured[use].ravel())[0, 1]
        assert r > 0.5
    assert [np.unique(folds).tolist() for folds in original.folds] == [[0], [1], [2]]
    assert [len(folds) for folds in original.folds] == [70, 60, 50]
    assert [len(history.validation_loss) for history in original.histories] == [2, 2, 2]


def test_the_baseline_of_a_held_out_run_is_the_mean_image_of_the_others(runs, original):
    means = [run.table[complete].mean(0) for run, complete in zip(runs, original.complete, strict=True)]
    for number in range(3):
        others = np.mean([mean for other, mean in enumerate(means) if other != number], axis=0)
        np.testing.assert_allclose(original.baselines[number], np.tile(others, (len(runs[number].table), 1)), rtol=1e-6)


def test_runs_of_a_session_are_held_out_together(runs, make_run, quick):
    settings = replace(quick, training=replace(quick.training, hold_out="session"))
    told = []
    out = predict_out_of_sample(in_sessions(runs, ["a", "b", "a"]), settings, seed=0, report=told.append)
    assert [np.unique(folds).tolist() for folds in out.folds] == [[0], [1], [0]]
    assert told == ["fold 1 of 2", "fold 2 of 2"]
    np.testing.assert_allclose(out.baselines[2][0], runs[1].table[out.complete[1]].mean(0), rtol=1e-6)


@pytest.mark.parametrize(("hold", "found"), [("run", "2 runs .*, found 1"), ("session", "2 sessions .*, found 1")])
def test_too_few_to_hold_out_is_told_by_number(hold, found, runs, quick):
    settings = replace(quick, training=replace(quick.training, hold_out=hold))
    with pytest.raises(InputDataError, match=f'expected at least {found}; set training.hold_out to "blocks"'):
        predict_out_of_sample(runs[:1] if hold == "run" else runs, settings, seed=0, report=lambda what: None)


def test_volumes_next_to_the_held_out_run_are_left_out_where_both_are_in_one_eeg_recording(runs, by_run):
    placed = in_one_eeg_recording(runs[:2], 4.0)
    windows, _ = windows_of(placed, by_run)
    assert len(windows) == 130
    split = hold_out(samples_of(placed, windows, by_run), "run", n_folds=4)[1]
    # The second run starts 6 s after the last volume's onset; the gap is 12 s.
    assert split.train.max() == 65
    apart, _ = windows_of(runs[:2], by_run)
    assert hold_out(samples_of(runs[:2], apart, by_run), "run", n_folds=4)[1].train.max() == 69


def test_a_run_without_a_volume_to_predict_is_named(runs, make_run, by_run):
    late = make_run(60, seed=4)
    late = replace(late, onsets_s=late.onsets_s + 500)
    with pytest.raises(InputDataError, match=r"run-5_eeg.vhdr: expected volumes with 10 s of EEG .* none of 60"):
        predict_out_of_sample([*runs, late], by_run, seed=0, report=lambda what: None)


def test_what_is_saved_was_stopped_by_runs_as_well(runs, by_run):
    _, history = train_on_all(runs, by_run, seed=0, card={})
    assert len(history.validation_loss) == 3


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "dataset"
    simulation = Simulation(
        n_participants=1, n_runs=2, tasks=("rest",), duration_s=300.0, n_channels=12, grid=(12, 14, 11), lead_s=25.0
    )
    simulate_dataset(path, simulation)
    return path


def test_the_app_predicts_each_run_from_the_other_and_reports(two_runs, settings_file, app, tmp_path):
    settings = tmp_path / "by_run.toml"
    settings.write_text(settings_file.read_text().replace("[training]", '[training]\nhold_out = "run"'))
    result = app(two_runs, tmp_path / "out", "participant", "--config-file", settings)
    assert result.code == 0, result.err
    folder = tmp_path / "out" / "sub-01"
    summary = json.loads((folder / "sub-01_summary.json").read_text())
    assert summary["verdict"]["headline"] in (tmp_path / "out" / "sub-01.html").read_text()
    assert summary["chance"]["p"] < 0.05
    # One run judges what was learned from all of the other.
    assert summary["chance"]["learned_from"] == 1
    region = load(two_runs.with_name("dataset_truth") / "regions.nii.gz")
    for number in (1, 2):
        stem = folder / "func" / f"sub-01_task-rest_run-{number}_desc"
        assert pd.read_csv(f"{stem}-synth_timeseries.tsv", sep="\t").fold.unique().tolist() == [number - 1]
        regions = pd.read_csv(f"{stem}-regions_timeseries.tsv", sep="\t", na_values="n/a")
        assert regions.filter(regex="_(low|high)$").notna().all(axis=None)  # by the errors of the other run
        assert "within participant, run of each volume held out" in Path(f"{stem}-synth_bold.json").read_text()
        r, inside = load(f"{stem}-synth_statmap.nii.gz"), load(f"{stem}-brain_mask.nii.gz") > 0
        assert np.median(r[inside & (region == 1)]) > 0.15  # the occipital one, which follows alpha
        assert abs(np.median(r[inside & (region == 0)])) < 0.1


def test_the_app_says_that_one_run_is_not_enough(two_runs, app, tmp_path):
    settings = tmp_path / "by_run.toml"
    settings.write_text('[training]\nhold_out = "run"\n')
    result = app(two_runs, tmp_path / "out", "participant", "--config-file", settings, "--run-label", "1")
    assert result.code == 65
    assert "expected at least 2 runs to hold out one after the other, found 1" in result.err

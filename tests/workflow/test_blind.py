"""What the schedule, the body or the global signal explains is found by what looks at them, and by nothing else."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bids_eeg2fmri.evaluation.baselines import cardiac_features, schedule_features
from bids_eeg2fmri.evaluation.splits import hold_out
from bids_eeg2fmri.workflow.blind import GLOBAL, NUISANCE, SCHEDULE, blind_features, global_signal
from bids_eeg2fmri.workflow.training import predict_by_ridge, predict_out_of_sample, samples_of, windows_of

N, TR_S = 150, 2.0


def events_of(seed):
    rng = np.random.default_rng(seed)
    onsets_s = np.sort(rng.uniform(0, N * TR_S - 12, 18)).round(2)
    return pd.DataFrame({"onset": onsets_s, "duration": 6.0, "trial_type": rng.choice(["face", "house"], 18)})


def heart_of(seed, onsets_s):
    rng = np.random.default_rng(seed)
    rate = 60 + 6 * np.interp(np.arange(700), np.arange(0, 720, 9), rng.standard_normal(80))
    return cardiac_features(np.cumsum(60 / rate) - 60, onsets_s)


def driven_by(run, course, *, percent=1.0):
    """Make the BOLD of a run follow a course, in every voxel to another degree, with noise as large."""
    rng = np.random.default_rng(8)
    course = (course - course.mean()) / course.std()
    change = percent * np.outer(course, rng.normal(0, 1, run.grid.n_voxels))
    change += rng.standard_normal(change.shape)
    return replace(run, table=(700 * (1 + change / 100)).astype(np.float32))


def r_of(out, runs):
    """Pooled r of each model over the volumes that have their EEG."""
    r = {}
    for name, predicted in out.predicted.items():
        pairs = []
        for run, change, complete in zip(runs, predicted, out.complete, strict=True):
            measured = 100 * (run.table[complete] / run.table.mean(0) - 1)
            pairs.append((measured - measured.mean(0), change[complete] - change[complete].mean(0)))
        measured, change = (np.concatenate(side).ravel() for side in zip(*pairs, strict=True))
        r[name] = np.corrcoef(measured, change)[0, 1] if change.any() else 0.0
    return r


def predict(runs, quick):
    return predict_out_of_sample(runs, quick, seed=0, report=lambda what: None)


def test_bold_that_follows_the_schedule_is_explained_by_it_and_the_network_gets_no_credit(make_run, quick):
    events = events_of(0)
    schedule = schedule_features(events, N, TR_S, ["face", "house"])
    run = driven_by(replace(make_run(N), events=events), schedule[:, 3] - schedule[:, 6])
    out = predict([run], quick)
    assert list(out.predicted) == [
        "smooth", "lagged band-power ridge", "time only", SCHEDULE, GLOBAL, "mean image"
    ]  # fmt: skip
    r = r_of(out, [run])
    assert r[SCHEDULE] > 0.5
    assert max(r["smooth"], r["lagged band-power ridge"], r["time only"]) < 0.15


def test_bold_that_follows_the_heart_is_explained_by_nuisance_and_the_network_gets_no_credit(make_run, quick):
    run = make_run(N)
    heart = heart_of(1, run.onsets_s)
    motion = np.random.default_rng(2).standard_normal((N, 24)).astype(np.float32)
    run = driven_by(replace(run, cardiac=heart, motion=motion), heart[:, 1])
    out = predict([run], quick)
    assert SCHEDULE not in out.predicted
    r = r_of(out, [run])
    assert r[NUISANCE] > 0.4
    assert max(r["smooth"], r["lagged band-power ridge"], r["time only"]) < 0.15


def test_a_condition_that_the_training_volumes_hardly_know_does_not_tower_over_the_test_volumes(make_run, quick):
    """Of its responses they hold the ends at most, thousands of times smaller than what comes."""
    onsets_s = np.r_[np.arange(4.0, 290, 24), 170.0, 182.0, 200.0]
    kinds = ["face"] * 12 + ["house"] * 3
    events = pd.DataFrame({"onset": onsets_s, "duration": 4.0, "trial_type": kinds}).sort_values("onset")
    schedule = schedule_features(events, N, TR_S, ["face"])
    run = driven_by(replace(make_run(N), events=events), schedule[:, 3])
    predicted = predict([run], quick).predicted[SCHEDULE][0]
    measured = 100 * (run.table / run.table.mean(0) - 1)
    assert predicted.std() < measured.std()
    assert np.corrcoef(predicted.ravel(), measured.ravel())[0, 1] > 0.4


def test_what_knows_nothing_of_the_bold_predicts_nothing(make_run, quick):
    """The BOLD follows the EEG; schedule and body have nothing to do with it."""
    run = make_run(N)
    run = replace(run, events=events_of(4), cardiac=heart_of(5, run.onsets_s))
    r = r_of(predict([run], quick), [run])
    assert r["smooth"] > 0.4
    assert max(r[SCHEDULE], r[NUISANCE]) < 0.1


def test_the_global_signal_is_a_reference_of_the_very_volumes(make_run, quick):
    run = make_run(N)
    course = np.random.default_rng(3).standard_normal(N)
    table = run.table * (1 + 0.02 * course[:, None])
    run = replace(run, table=table.astype(np.float32))
    r = r_of(predict([run], quick), [run])
    assert r[GLOBAL] > 0.6
    assert r["time only"] < 0.1


def test_conditions_are_matched_by_name_and_a_run_without_events_has_zeros(make_run):
    runs = [make_run(60), make_run(70, seed=1), make_run(80, seed=2)]
    runs[0] = replace(runs[0], events=pd.DataFrame({"onset": [4.0, 60.0], "duration": 2.0, "trial_type": ["b", "a"]}))
    runs[2] = replace(runs[2], events=pd.DataFrame({"onset": [9.0, 90.0], "duration": 2.0, "trial_type": ["a", "b"]}))
    features = blind_features(runs, drift_period_s=128.0)[SCHEDULE]
    assert features.shape == (210, 9)
    assert not features[60:130].any()
    b_comes_early, a_comes_early = features[4, 6], features[130 + 7, 3]
    assert b_comes_early > 10 * abs(features[4, 3])
    assert a_comes_early > 10 * abs(features[130 + 7, 6])


def test_what_is_unknown_of_a_run_is_zero_there(make_run):
    runs = [make_run(60), make_run(70, seed=1)]
    motion = np.random.default_rng(0).standard_normal((60, 6))
    runs[0] = replace(runs[0], motion=motion)
    runs[1] = replace(runs[1], motion=np.ones((70, 24)) * np.arange(24), cardiac=heart_of(3, runs[1].onsets_s))
    features = blind_features(runs, drift_period_s=128.0)[NUISANCE]
    assert features.shape == (130, 24 + 5)
    assert not features[:60, 6:].any()
    assert np.abs(features[60:, :24]).max() < 1e-4  # a constant is drift
    np.testing.assert_allclose(features.std(0)[[0, 5, 24, 28]], 1, rtol=1e-4)
    assert features[60:, 24:].any()


def test_without_anything_known_there_are_no_rows(make_run):
    assert blind_features([make_run(60)], drift_period_s=128.0) == {}


def test_drift_is_taken_out_of_the_features(make_run):
    run = make_run(N)
    drifting = np.linspace(-1, 1, N)[:, None] * 5 + np.random.default_rng(0).standard_normal((N, 1))
    features = blind_features([replace(run, motion=drifting)], drift_period_s=128.0)[NUISANCE]
    assert abs(np.corrcoef(features[:, 0], np.arange(N))[0, 1]) < 0.1
    signal = global_signal([run], [run.table * (1 + 0.01 * drifting)], drift_period_s=128.0)
    assert signal.shape == (N, 1)
    assert abs(np.corrcoef(signal[:, 0], np.arange(N))[0, 1]) < 0.1


@pytest.mark.parametrize("kind", [SCHEDULE, NUISANCE])
def test_nothing_about_test_volumes_has_a_say_in_the_weights(kind, make_run, quick):
    """What is known of the test volumes is poisoned where it could only be used to fit."""
    run = make_run(N)
    run = replace(run, events=events_of(6), cardiac=heart_of(7, run.onsets_s))
    features = blind_features([run], drift_period_s=128.0)[kind]
    targets = features @ np.random.default_rng(0).standard_normal((features.shape[1], 3))
    split = hold_out(samples_of([run], windows_of([run], quick)[0], quick), "blocks", n_folds=4)[1]
    unknown = np.setdiff1d(np.arange(N), split.train)
    assert len(unknown) > len(split.test) > 20
    expected = predict_by_ridge(features.__getitem__, targets, split, 1.0)
    hidden = targets.copy()
    hidden[unknown] = np.nan

    def guarded(which):
        """Give features of test volumes to nothing but the prediction, which comes last."""
        if np.array_equal(which, split.test):
            return features[which]
        assert not np.isin(which, unknown).any()
        return features[which]

    np.testing.assert_array_equal(predict_by_ridge(guarded, hidden, split, 1.0), expected)
    assert np.corrcoef(expected.ravel(), targets[split.test].ravel())[0, 1] > 0.9

"""What is predicted of a volume does not depend on that volume, nor on its neighbours."""

from dataclasses import replace

import numpy as np
import pytest

from bids_eeg2fmri.errors import InputDataError
from bids_eeg2fmri.workflow.training import (
    gap_s,
    learn_targets,
    predict_out_of_sample,
    train_on_all,
    windows_of,
)

MODELS = ("smooth", "lagged band-power ridge", "time only", "mean image")


def predict(runs, settings, seed=0):
    return predict_out_of_sample(runs, settings, seed=seed, report=lambda what: None)


@pytest.fixture(scope="module")
def run(make_run):
    return make_run()


@pytest.fixture(scope="module")
def original(run, quick):
    return predict([run], quick)


@pytest.mark.parametrize("fold", [0, 2])
def test_a_held_out_block_has_no_say_in_its_own_prediction(fold, run, original, quick):
    held_out = original.folds[0] == fold
    rng = np.random.default_rng(1)
    table = run.table.copy()
    table[held_out] = 600 + 300 * rng.standard_normal((held_out.sum(), table.shape[1]))
    changed = predict([replace(run, table=table)], quick)
    for model in MODELS:
        before, after = original.predicted[model][0], changed.predicted[model][0]
        np.testing.assert_array_equal(after[held_out], before[held_out])
    np.testing.assert_array_equal(changed.baselines[0][held_out], original.baselines[0][held_out])
    # Not because nothing is predicted, nor because nothing depends on anything.
    assert np.abs(original.predicted["smooth"][0][held_out]).max() > 0.1
    assert not np.array_equal(changed.predicted["smooth"][0][~held_out], original.predicted["smooth"][0][~held_out])


def test_the_neighbours_of_a_block_have_no_say_either(run, original, quick):
    gap = 6
    assert gap_s(quick) == gap * run.tr_s
    near = np.zeros(100, bool)
    near[50 - gap : 75 + gap] = True  # around the third of four blocks
    table = np.where(near[:, None], 5000.0, run.table).astype(np.float32)
    changed = predict([replace(run, table=table)], quick)
    for model in MODELS:
        np.testing.assert_array_equal(changed.predicted[model][0][50:75], original.predicted[model][0][50:75])
    # One volume further on, they have.
    table[50 - gap - 1] = 5000
    changed = predict([replace(run, table=table)], quick)
    assert not np.array_equal(changed.predicted["smooth"][0][50:75], original.predicted["smooth"][0][50:75])


def test_what_is_coupled_is_predicted_out_of_sample(run, original):
    measured = 100 * (run.table / run.table.mean(0) - 1)
    use = original.complete[0]
    r = {
        model: np.corrcoef(original.predicted[model][0][use].ravel(), measured[use].ravel())[0, 1]
        for model in ("smooth", "lagged band-power ridge")
    }
    assert r["smooth"] > 0.5
    assert r["lagged band-power ridge"] > 0.2


def test_what_ignores_the_eeg_predicts_nothing_of_it(original):
    assert not original.predicted["mean image"][0].any()
    assert np.abs(original.predicted["time only"][0]).max() < 1


def test_every_volume_with_eeg_is_predicted_and_the_others_are_not(make_run, quick):
    late = make_run(110, first_onset_s=4.0)
    out = predict([late], quick)
    assert out.complete[0].tolist() == [v >= 3 for v in range(110)]
    predicted = out.predicted["smooth"][0]
    assert not predicted[:3].any()
    assert (np.abs(predicted[3:]).max(1) > 0).all()
    assert [len(out.folds[0]), len(out.histories)] == [110, 4]


def test_each_run_has_its_own_baseline(make_run, quick):
    runs = [make_run(60, seed=0), make_run(72, seed=1)]
    runs[1] = replace(runs[1], table=2 * runs[1].table)
    out = predict(runs, quick)
    for run, baseline in zip(runs, out.baselines, strict=True):
        np.testing.assert_allclose(baseline.mean(), run.table.mean(), rtol=0.01)
    assert [len(p) for p in out.predicted["smooth"]] == [60, 72]


def test_targets_of_other_volumes_are_nan(run, quick):
    windows, _ = windows_of([run], quick)
    train = np.arange(20, 70)
    learned = learn_targets([run], windows, train, quick)
    assert np.isfinite(learned.targets[train]).all()
    assert np.isnan(np.delete(learned.targets, train, axis=0)).all()
    np.testing.assert_allclose(learned.baselines[0], run.table[20:70].mean(0), rtol=1e-5)
    np.testing.assert_allclose(learned.targets[train].mean(0), 0, atol=1e-3)


def test_the_gap_is_never_shorter_than_a_window_with_its_first_frame(quick):
    assert gap_s(quick) == 12.0  # as set
    short = replace(quick, training=replace(quick.training, gap_s=0.0))
    assert gap_s(short) == 10.0  # 8 s and a frame of 2 s


def test_a_run_that_is_too_short_is_refused(make_run, quick):
    with pytest.raises(InputDataError, match="longer runs or more of them are needed"):
        predict([make_run(30)], quick)


@pytest.mark.parametrize("n_volumes", [4, 9])
def test_a_short_run_beside_a_long_one_gives_no_nan(n_volumes, make_run, quick):
    """All its volumes are held out or near one that is, in some fold: no volume is left to learn its mean from."""
    short = make_run(n_volumes, seed=1)
    with pytest.raises(InputDataError, match=r"run-2_bold.nii.gz: .* volumes"):
        predict([make_run(), short], quick)


def test_the_same_seed_gives_the_same_predictions(run, original, quick):
    again = predict([run], quick)
    for model in MODELS:
        np.testing.assert_array_equal(again.predicted[model][0], original.predicted[model][0])
    assert again.histories == original.histories


def test_a_model_of_all_volumes_can_be_saved_and_knows_what_it_needs(run, quick, tmp_path):
    from bids_eeg2fmri.training.synthesizer import load_synthesizer

    synthesizer, history = train_on_all([run], quick, seed=0, card={"trained_on": ["sub-01"]})
    assert len(history.validation_loss) == 4
    loaded = load_synthesizer(synthesizer.save(tmp_path / "bundle"))
    windows, lags = windows_of([run], quick)
    np.testing.assert_array_equal(
        loaded.predict(windows, np.arange(9, 60)), synthesizer.predict(windows, np.arange(9, 60))
    )
    assert loaded.spec.lags_s == tuple(lags.tolist())
    assert (loaded.card["tr_s"], loaded.card["step_s"], loaded.card["relative_power"]) == (2.0, 2.0, False)
    np.testing.assert_allclose(loaded.template[run.grid.mask], run.table.mean(0), rtol=1e-3)


def test_what_is_solved_goes_the_same_way_as_what_is_trained(run, original, quick):
    """The ridge as a network predicts what the ridge among the baselines does."""
    solved = predict([run], replace(quick, training=replace(quick.training, architecture="ridge")))
    expected = original.predicted["lagged band-power ridge"][0]
    np.testing.assert_allclose(solved.predicted["ridge"][0], expected, atol=1e-3 * expected.std())
    assert [len(history.validation_loss[0]) for history in solved.histories] == [19] * 4


def test_what_was_trained_before_an_interruption_is_not_trained_again(run, quick, tmp_path):
    training = replace(quick.training, architecture="separable", max_epochs=2, n_folds=3)
    settings = replace(quick, training=training)
    told = []

    def stopped(what):
        told.append(what)
        if what.startswith("fold 2"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict_out_of_sample([run], settings, seed=0, report=stopped, work_dir=tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert before
    resumed = predict_out_of_sample([run], settings, seed=0, report=told.append, work_dir=tmp_path)
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert len(after) == 3
    assert before.items() < after.items()
    whole = predict([run], settings)
    np.testing.assert_array_equal(resumed.predicted["separable"][0], whole.predicted["separable"][0])
    assert resumed.histories == whole.histories

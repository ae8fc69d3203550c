from dataclasses import replace

import numpy as np
import pytest

from bids_eeg2fmri.training.engine import start_engine
from bids_eeg2fmri.training.fitting import Schedule, Trainer, adapt_standardization, predict_windows

SCHEDULE = Schedule(max_epochs=40, patience=8, batch_size=32, learning_rate=0.01)
TRAIN = np.arange(150)
INNER = [(np.arange(70), np.arange(80, 150)), (np.arange(80, 150), np.arange(70))]
TEST = np.arange(160, 200)


@pytest.fixture(scope="module")
def fitted(samples, spec):
    windows, targets = samples
    trainer = Trainer("separable", spec, SCHEDULE, seed=0)
    return trainer, trainer.fit(windows, targets, TRAIN, INNER, independent=1.0)


def test_a_coupling_is_learned(fitted, samples):
    windows, targets = samples
    predicted = fitted[0].predict(windows, TEST)
    assert min(np.corrcoef(predicted[:, i], targets[TEST, i])[0, 1] for i in range(2)) > 0.7
    assert min(fitted[1].gains) > 0.5


def test_the_history_has_a_course_for_each_inner_split(fitted):
    history = fitted[1]
    assert len(history.training_loss) == len(history.validation_loss) == len(INNER)
    assert all(
        len(t) == len(v) <= SCHEDULE.max_epochs
        for t, v in zip(history.training_loss, history.validation_loss, strict=True)
    )
    assert 1 <= history.best_epoch <= SCHEDULE.max_epochs


def test_training_ends_when_the_inner_loss_no_longer_falls(samples, spec):
    windows, _ = samples
    noise = np.random.default_rng(1).standard_normal((200, 2)).astype(np.float32)
    trainer = Trainer("separable", spec, replace(SCHEDULE, max_epochs=300, patience=4), seed=0)
    history = trainer.fit(windows, noise, TRAIN, INNER, independent=1.0)
    assert max(map(len, history.validation_loss)) < 150
    for losses in history.validation_loss:
        assert len(losses) - int(np.argmin(losses)) == 5


def test_what_was_not_learned_is_not_believed(samples, spec):
    windows, _ = samples
    noise = np.random.default_rng(2).standard_normal((200, 2)).astype(np.float32)
    trainer = Trainer("separable", spec, replace(SCHEDULE, max_epochs=5), seed=0)
    trainer.fit(windows, noise, TRAIN, INNER, independent=0.3)
    assert trainer.predict(windows, TEST).std() < 0.1


def test_an_earlier_fit_predicts_again(samples, spec):
    windows, targets = samples
    trainer = Trainer("separable", spec, replace(SCHEDULE, max_epochs=3), seed=0)
    trainer.fit(windows, targets, TRAIN, INNER, independent=1.0)
    first, learned = trainer.predict(windows, TEST), trainer.learned()
    trainer.fit(windows, 5 * targets[:, ::-1], TRAIN[50:], INNER, independent=1.0)
    assert not np.allclose(trainer.predict(windows, TEST), first, rtol=0.1)
    trainer.restore(learned)
    np.testing.assert_array_equal(trainer.predict(windows, TEST), first)


def test_nothing_is_carried_from_one_fit_to_the_next(fitted, samples, spec):
    windows, targets = samples
    trainer, history = fitted
    first = trainer.predict(windows, TEST)
    trainer.fit(windows, -3 * targets, np.arange(50, 200), [(np.arange(120, 200), np.arange(50, 110))], independent=1.0)
    again = trainer.fit(windows, targets, TRAIN, INNER, independent=1.0)
    np.testing.assert_array_equal(trainer.predict(windows, TEST), first)
    assert again == history


def test_only_training_targets_are_looked_at(fitted, samples, spec):
    windows, targets = samples
    hidden = np.full_like(targets, np.nan)
    hidden[TRAIN] = targets[TRAIN]
    trainer = Trainer("separable", spec, SCHEDULE, seed=0)
    trainer.fit(windows, hidden, TRAIN, INNER, independent=1.0)
    np.testing.assert_array_equal(trainer.predict(windows, TEST), fitted[0].predict(windows, TEST))


def test_only_eeg_of_training_windows_is_looked_at(fitted, samples, spec):
    windows, targets = samples
    power = windows.power.copy()
    power[154:] += 50  # frames of windows from 154 on alone
    trainer = Trainer("separable", spec, SCHEDULE, seed=0)
    trainer.fit(replace(windows, power=power), targets, TRAIN, INNER, independent=1.0)
    np.testing.assert_array_equal(trainer.predict(windows, TEST), fitted[0].predict(windows, TEST))


def test_another_seed_is_another_model(fitted, samples, spec):
    windows, targets = samples
    trainer = Trainer("separable", spec, SCHEDULE, seed=1)
    trainer.fit(windows, targets, TRAIN, INNER, independent=1.0)
    assert not np.array_equal(trainer.predict(windows, TEST), fitted[0].predict(windows, TEST))


def test_the_unit_of_the_targets_does_not_matter(fitted, samples, spec):
    windows, targets = samples
    trainer = Trainer("separable", spec, SCHEDULE, seed=0)
    trainer.fit(windows, 1024 * targets, TRAIN, INNER, independent=1.0)
    np.testing.assert_allclose(
        trainer.predict(windows, TEST) / 1024, fitted[0].predict(windows, TEST), rtol=1e-3, atol=1e-3
    )


def test_standardization_is_that_of_the_training_frames_each_counted_once(samples, spec):
    windows, _ = samples
    model = Trainer("separable", spec, SCHEDULE, seed=0).model
    adapt_standardization(model, windows, np.arange(20, 90))
    layer = model.get_layer("standardize")
    frames = windows.power[20:93]
    np.testing.assert_allclose(layer.mean.numpy(), frames.mean(0), rtol=1e-5)
    np.testing.assert_allclose(layer.scale.numpy(), frames.std(0), rtol=1e-4)


def test_a_network_is_adapted_anew_for_each_fit(samples, spec):
    """Another fit before must not leave its standardization behind in the compiled network."""
    windows, targets = samples
    louder = replace(windows, power=windows.power * 2 - 50)
    trainer = Trainer("separable", spec, SCHEDULE, seed=0)
    trainer.fit(louder, targets, TRAIN, INNER, independent=1.0)
    trainer.fit(windows, targets, TRAIN, INNER, independent=1.0)
    fresh = Trainer("separable", spec, SCHEDULE, seed=0)
    fresh.fit(windows, targets, TRAIN, INNER, independent=1.0)
    np.testing.assert_array_equal(trainer.predict(windows, TEST), fresh.predict(windows, TEST))


@pytest.mark.parametrize("batch_size", [1, 7, 500])
def test_predictions_do_not_depend_on_the_batch(batch_size, fitted, samples):
    windows, _ = samples
    one = predict_windows(fitted[0].model, windows, TEST, batch_size=batch_size)
    np.testing.assert_allclose(one, predict_windows(fitted[0].model, windows, TEST), atol=1e-5)


def test_no_windows_give_no_predictions(fitted, samples):
    assert predict_windows(fitted[0].model, samples[0], np.array([], dtype=int)).shape == (0, 2)


def test_the_engine_says_what_it_runs_on():
    assert start_engine(seed=0, n_cpus=2, device="cpu").startswith("tensorflow on ")

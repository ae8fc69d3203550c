from dataclasses import replace

import numpy as np
import pytest

from bids_eeg2fmri.models.registry import load_architecture
from bids_eeg2fmri.training import checkpoints
from bids_eeg2fmri.training.engine import start_engine
from bids_eeg2fmri.training.fitting import Schedule, Trainer, adapt_standardization, predict_windows

SCHEDULE = Schedule(max_epochs=40, patience=8, batch_size=32, learning_rate=0.01)
TRAIN = np.arange(150)
INNER = [(np.arange(70), np.arange(80, 150)), (np.arange(80, 150), np.arange(70))]
TEST = np.arange(160, 200)


@pytest.fixture(scope="module")
def fitted(samples, spec):
    windows, targets = samples
    trainer = Trainer(load_architecture("separable"), spec, SCHEDULE, seed=0)
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
    trainer = Trainer(load_architecture("separable"), spec, replace(SCHEDULE, max_epochs=300, patience=4), seed=0)
    history = trainer.fit(windows, noise, TRAIN, INNER, independent=1.0)
    assert max(map(len, history.validation_loss)) < 150
    for losses in history.validation_loss:
        assert len(losses) - int(np.argmin(losses)) == 5


def test_what_was_not_learned_is_not_believed(samples, spec):
    windows, _ = samples
    noise = np.random.default_rng(2).standard_normal((200, 2)).astype(np.float32)
    trainer = Trainer(load_architecture("separable"), spec, replace(SCHEDULE, max_epochs=5), seed=0)
    trainer.fit(windows, noise, TRAIN, INNER, independent=0.3)
    assert trainer.predict(windows, TEST).std() < 0.1


def test_an_earlier_fit_predicts_again(samples, spec):
    windows, targets = samples
    trainer = Trainer(load_architecture("separable"), spec, replace(SCHEDULE, max_epochs=3), seed=0)
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
    trainer = Trainer(load_architecture("separable"), spec, SCHEDULE, seed=0)
    trainer.fit(windows, hidden, TRAIN, INNER, independent=1.0)
    np.testing.assert_array_equal(trainer.predict(windows, TEST), fitted[0].predict(windows, TEST))


def test_only_eeg_of_training_windows_is_looked_at(fitted, samples, spec):
    windows, targets = samples
    power = windows.power.copy()
    power[154:] += 50  # frames of windows from 154 on alone
    trainer = Trainer(load_architecture("separable"), spec, SCHEDULE, seed=0)
    trainer.fit(replace(windows, power=power), targets, TRAIN, INNER, independent=1.0)
    np.testing.assert_array_equal(trainer.predict(windows, TEST), fitted[0].predict(windows, TEST))


def test_another_seed_is_another_model(fitted, samples, spec):
    windows, targets = samples
    trainer = Trainer(load_architecture("separable"), spec, SCHEDULE, seed=1)
    trainer.fit(windows, targets, TRAIN, INNER, independent=1.0)
    assert not np.array_equal(trainer.predict(windows, TEST), fitted[0].predict(windows, TEST))


def test_the_unit_of_the_targets_does_not_matter(fitted, samples, spec):
    windows, targets = samples
    trainer = Trainer(load_architecture("separable"), spec, SCHEDULE, seed=0)
    trainer.fit(windows, 1024 * targets, TRAIN, INNER, independent=1.0)
    np.testing.assert_allclose(
        trainer.predict(windows, TEST) / 1024, fitted[0].predict(windows, TEST), rtol=1e-3, atol=1e-3
    )


def test_standardization_is_that_of_the_training_frames_each_counted_once(samples, spec):
    windows, _ = samples
    model = Trainer(load_architecture("separable"), spec, SCHEDULE, seed=0).model
    adapt_standardization(model, windows, np.arange(20, 90))
    layer = model.get_layer("standardize")
    frames = windows.power[20:93]
    np.testing.assert_allclose(layer.mean.numpy(), frames.mean(0), rtol=1e-5)
    np.testing.assert_allclose(layer.scale.numpy(), frames.std(0), rtol=1e-4)


def test_a_network_is_adapted_anew_for_each_fit(samples, spec):
    """Another fit before must not leave its standardization behind in the compiled network."""
    windows, targets = samples
    louder = replace(windows, power=windows.power * 2 - 50)
    trainer = Trainer(load_architecture("separable"), spec, SCHEDULE, seed=0)
    trainer.fit(louder, targets, TRAIN, INNER, independent=1.0)
    trainer.fit(windows, targets, TRAIN, INNER, independent=1.0)
    fresh = Trainer(load_architecture("separable"), spec, SCHEDULE, seed=0)
    fresh.fit(windows, targets, TRAIN, INNER, independent=1.0)
    np.testing.assert_array_equal(trainer.predict(windows, TEST), fresh.predict(windows, TEST))


def test_the_training_loss_of_an_epoch_is_the_mean_over_its_own_batches(samples, spec):
    windows, targets = samples
    trainer = Trainer(load_architecture("separable"), spec, replace(SCHEDULE, max_epochs=6), seed=0)
    losses = []
    train_on_batch = trainer.model.train_on_batch

    def watched(*arguments):
        losses.append(train_on_batch(*arguments))
        return losses[-1]

    history = trainer.fit(windows, targets, TRAIN, INNER, independent=1.0)
    trainer.model.train_on_batch = watched
    trainer.fit(windows, targets, TRAIN, INNER[:1], independent=1.0)
    by_epoch = np.reshape(losses[: 6 * (len(INNER[0][0]) // 32)], (6, -1)).mean(1)
    np.testing.assert_allclose(history.training_loss[0], by_epoch, rtol=1e-5)


def test_a_cosine_falls_from_the_first_rate_to_a_hundredth():
    schedule = replace(SCHEDULE, decay="cosine", max_epochs=20)
    rates = [schedule.rate_at(epoch) for epoch in range(21)]
    assert rates[0] == pytest.approx(0.01)
    assert rates[10] == pytest.approx(0.5 * (0.01 + 0.0001))
    assert rates[20] == pytest.approx(0.0001)
    assert rates == sorted(rates, reverse=True)
    assert replace(schedule, decay="constant").rate_at(17) == 0.01


def test_the_rate_of_each_epoch_is_the_optimizers(samples, spec):
    windows, targets = samples
    schedule = replace(SCHEDULE, max_epochs=5, patience=5, decay="cosine")
    trainer = Trainer(load_architecture("separable"), spec, schedule, seed=0)
    rates = []
    train_on_batch = trainer.model.train_on_batch

    def watched(*arguments):
        rates.append(float(trainer.model.optimizer.learning_rate.numpy()))
        return train_on_batch(*arguments)

    trainer.model.train_on_batch = watched
    trainer.fit(windows, targets, TRAIN, INNER[:1], independent=1.0)
    of_inner = rates[: 5 * (len(INNER[0][0]) // 32)]
    np.testing.assert_allclose(np.unique(of_inner)[::-1], [schedule.rate_at(epoch) for epoch in range(5)], rtol=1e-5)


def test_accumulated_gradients_are_those_of_one_large_batch(samples, spec):
    """Two batches of 16 that are added up move the weights as one of 32 does."""
    windows, targets = samples
    weights = []
    for size, steps in ((32, 1), (16, 2)):
        schedule = replace(SCHEDULE, max_epochs=3, patience=3, batch_size=size, accumulated_batches=steps)
        trainer = Trainer(load_architecture("separable"), spec, schedule, seed=0)
        trainer.fit(windows, targets, np.arange(64), [(np.arange(32), np.arange(40, 64))], independent=1.0)
        weights.append(trainer.learned()[:-1])
    for one, other in zip(*weights, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-4)


def test_a_tuned_network_starts_where_another_one_ended(fitted, samples, spec):
    windows, targets = samples
    schedule = replace(SCHEDULE, max_epochs=1, learning_rate=1e-9)
    start = [weight.numpy() for weight in fitted[0].model.weights]
    trainer = Trainer(load_architecture("separable"), spec, schedule, seed=5, start=start)
    louder = replace(windows, power=windows.power + 1)
    trainer.fit(louder, targets, TRAIN, INNER, independent=1.0)
    for one, other in zip(trainer.learned()[:-1], start, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)  # the standardization is kept as well


def test_what_inner_splits_predicted_is_told_in_units_of_the_targets(samples, spec):
    windows, targets = samples
    trainer = Trainer(load_architecture("separable"), spec, replace(SCHEDULE, max_epochs=15), seed=0)
    trainer.fit(windows, 100 * targets, TRAIN, INNER, independent=1.0)
    for (rows, predicted), (_, judge) in zip(trainer.judged, INNER, strict=True):
        np.testing.assert_array_equal(rows, judge)
        left = 100 * targets[judge] - predicted
        assert left.std() < 0.9 * (100 * targets[judge]).std()


@pytest.fixture(scope="module")
def uninterrupted(samples, spec, drawing):
    trainer = Trainer(drawing, spec, replace(SCHEDULE, max_epochs=6, patience=6), seed=3)
    return trainer.fit(*samples, TRAIN, INNER, independent=1.0), trainer.learned()


@pytest.mark.parametrize("n_batches", [3, 17, 29], ids=["in the first course", "in the second", "in the last"])
def test_an_interrupted_training_goes_on_to_the_same_bits(
    n_batches, uninterrupted, samples, spec, drawing, tmp_path, monkeypatch
):
    monkeypatch.setattr(checkpoints, "SECONDS_BETWEEN", 0.0)
    schedule = replace(SCHEDULE, max_epochs=6, patience=6)
    stopped, resumed = (Trainer(drawing, spec, schedule, seed=3, work_dir=tmp_path) for _ in range(2))
    train_on_batch, done = stopped.model.train_on_batch, []

    def interrupted(*arguments):
        if len(done) == n_batches:
            raise KeyboardInterrupt
        done.append(1)
        return train_on_batch(*arguments)

    stopped.model.train_on_batch = interrupted
    with pytest.raises(KeyboardInterrupt):
        stopped.fit(*samples, TRAIN, INNER, independent=1.0)
    assert len(list(tmp_path.iterdir())) == 1
    train_on_batch, steps = resumed.model.train_on_batch, []
    resumed.model.train_on_batch = lambda *arguments: (steps.append(1), train_on_batch(*arguments))[1]
    history = resumed.fit(*samples, TRAIN, INNER, independent=1.0)
    assert history == uninterrupted[0]
    for one, other in zip(resumed.learned(), uninterrupted[1], strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(steps) <= 2 * 6 * 2 + history.best_epoch * 4 - n_batches + 4  # what was done is not done again


def test_what_was_finished_is_not_trained_again_and_other_data_are(samples, spec, drawing, tmp_path):
    windows, targets = samples
    schedule = replace(SCHEDULE, max_epochs=2)
    trainer = Trainer(drawing, spec, schedule, seed=3, work_dir=tmp_path)
    first = trainer.fit(windows, targets, TRAIN, INNER, independent=1.0), trainer.learned()
    train_on_batch, steps = trainer.model.train_on_batch, []
    trainer.model.train_on_batch = lambda *arguments: (steps.append(1), train_on_batch(*arguments))[1]
    again = trainer.fit(windows, targets, TRAIN, INNER, independent=1.0), trainer.learned()
    assert not steps
    assert again[0] == first[0]
    for one, other in zip(again[1], first[1], strict=True):
        np.testing.assert_array_equal(one, other)
    trainer.fit(windows, 1.01 * targets, TRAIN, INNER, independent=1.0)
    assert steps


def test_a_checkpoint_that_was_cut_off_is_begun_anew(samples, spec, drawing, tmp_path):
    trainer = Trainer(drawing, spec, replace(SCHEDULE, max_epochs=2), seed=3, work_dir=tmp_path)
    first = trainer.fit(*samples, TRAIN, INNER, independent=1.0)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-200])
    assert trainer.fit(*samples, TRAIN, INNER, independent=1.0) == first


@pytest.mark.parametrize("batch_size", [1, 7, 500])
def test_predictions_do_not_depend_on_the_batch(batch_size, fitted, samples):
    windows, _ = samples
    one = predict_windows(fitted[0].model, windows, TEST, batch_size=batch_size)
    np.testing.assert_allclose(one, predict_windows(fitted[0].model, windows, TEST), atol=1e-5)


def test_no_windows_give_no_predictions(fitted, samples):
    assert predict_windows(fitted[0].model, samples[0], np.array([], dtype=int)).shape == (0, 2)


def test_the_engine_says_what_it_runs_on():
    assert start_engine(seed=0, n_cpus=2, device="cpu").startswith("tensorflow on ")


def test_a_network_of_voxels_learns_what_coefficients_make_of_the_basis(samples, spec):
    """By targets of two coefficients alone it comes to predict them, whatever the basis."""
    windows, targets = samples
    rng = np.random.default_rng(0)
    mask = np.zeros((5, 4, 3), bool)
    mask[1:4, 1:3] = True
    components = np.linalg.qr(rng.standard_normal((int(mask.sum()), 2)))[0].T.astype(np.float32)
    of_voxels = replace(spec, n_outputs=int(mask.sum()), mask=mask)
    trainer = Trainer(load_architecture("separable"), of_voxels, replace(SCHEDULE, max_epochs=60), seed=0)
    trainer.fit(windows, targets, TRAIN, INNER, independent=1.0, components=components)
    predicted, learned = trainer.predict(windows, TEST), trainer.learned()
    assert trainer.model.output_shape == (None, mask.sum())
    assert min(np.corrcoef(predicted[:, i], targets[TEST, i])[0, 1] for i in range(2)) > 0.7
    trainer.fit(windows, targets[:, ::-1], TRAIN, INNER, independent=1.0, components=-components)
    trainer.restore(learned)
    np.testing.assert_array_equal(trainer.predict(windows, TEST), predicted)

"""A model that is tuned keeps what it knows, and learns what is different."""

import functools
import operator
from dataclasses import replace

import numpy as np
import pytest

from bids_eeg2fmri.errors import UsageError
from bids_eeg2fmri.models.registry import load_architecture
from bids_eeg2fmri.training.fitting import Schedule, Start
from bids_eeg2fmri.training.learner import make_learner

SCHEDULE = Schedule(max_epochs=40, patience=8, batch_size=16, learning_rate=0.01)
TRAIN, TEST = np.arange(60), np.arange(100, 200)
INNER = [(np.arange(26), np.arange(32, 60)), (np.arange(32, 60), np.arange(26))]
ALL = np.arange(200)
BANDS = {"bands_hz": [(5, 7), (7, 9), (9, 11), (11, 13), (13, 15)]}


def learner_of(name, spec, *, start=None, **schedule):
    architecture = load_architecture(name, BANDS if name in ("ridge", "trees") else {})
    return make_learner(architecture, spec, replace(SCHEDULE, **schedule), seed=0, start=start)


@pytest.fixture(scope="module", params=["ridge", "separable"])
def known(request, samples, spec):
    """A model that has learned a relation from plenty of data."""
    windows, targets = samples
    learner = learner_of(request.param, spec)
    learner.fit(windows, targets, ALL, [(ALL[:95], ALL[105:]), (ALL[105:], ALL[:95])], independent=1.0)
    return request.param, Start(learner.model.get_weights(), learner.output_scale)


def error(learner, windows, targets):
    return float(np.mean((learner.predict(windows, TEST) - targets[TEST]) ** 2))


def test_little_data_of_a_similar_person_tell_more_if_one_starts_from_others(known, samples, spec):
    name, start = known
    windows, targets = samples
    similar = (targets @ np.array([[1.0, 0.3], [-0.3, 1.0]])).astype(np.float32)
    errors = {}
    for kind, begin in (("tuned", start), ("anew", None)):
        learner = learner_of(name, spec, start=begin)
        learner.fit(windows, similar, TRAIN, INNER, independent=1.0)
        errors[kind] = error(learner, windows, similar)
    as_it_was = learner_of(name, spec, start=start, max_epochs=1, learning_rate=1e-12)
    as_it_was.fit(windows, targets, TRAIN, INNER, independent=1.0)
    errors["as it was"] = error(as_it_was, windows, similar)
    assert errors["tuned"] < errors["anew"]
    assert errors["tuned"] < errors["as it was"]


def test_where_nothing_is_different_nothing_changes(known, samples, spec):
    name, start = known
    windows, targets = samples
    learner = learner_of(name, spec, start=start)
    history = learner.fit(windows, targets, TRAIN, INNER, independent=0.5)
    before = learner_of(name, spec, start=start)
    expected = before.model.predict_on_batch(windows.gather(TEST)) * start.output_scale
    assert np.abs(learner.predict(windows, TEST) - expected).std() < 0.15 * expected.std()
    assert all(len(t) == len(v) for t, v in zip(history.training_loss, history.validation_loss, strict=True))


def test_the_standardization_stays_what_it_was(known, samples, spec):
    name, start = known
    windows, targets = samples
    learner = learner_of(name, spec, start=start, max_epochs=2)
    learner.fit(replace(windows, power=windows.power + 7), targets, TRAIN, INNER, independent=1.0)
    fresh = learner_of(name, spec, start=start)
    kept = (
        [layer.non_trainable_weights for layer in learner.model.layers],
        [layer.non_trainable_weights for layer in fresh.model.layers],
    )
    assert any(kept[0])
    for one, other in zip(
        functools.reduce(operator.iadd, kept[0], []), functools.reduce(operator.iadd, kept[1], []), strict=True
    ):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_trees_are_not_added_to(spec):
    learner = learner_of("trees", spec)
    with pytest.raises(UsageError, match="--fine-tune: a model of the architecture trees can't be added to"):
        learner_of("trees", spec, start=Start(learner.model.get_weights(), learner.output_scale))

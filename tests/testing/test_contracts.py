"""The contract notices an architecture that breaks it. Each model here breaks one promise."""

import keras
import numpy as np
import pytest

from bids_eeg2fmri.errors import UsageError
from bids_eeg2fmri.models.layers.standardization import Standardization
from bids_eeg2fmri.models.spec import SampleSpec
from bids_eeg2fmri.testing import contracts


def linear(spec: SampleSpec, *, outputs=None, layer=None, **dense) -> keras.Model:
    inputs = keras.Input(spec.power_shape)
    x = Standardization()(inputs)
    if layer is not None:
        x = layer(x)
    x = keras.layers.Flatten()(x)
    return keras.Model(inputs, keras.layers.Dense(outputs or spec.n_outputs, **dense)(x))


def test_a_linear_network_keeps_the_contract():
    for check in contracts.CHECKS:
        check(linear)


def test_the_default_architecture_keeps_it_with_options():
    contracts.check_architecture("separable", {"n_bands": 5, "n_sources": 6})


def test_the_default_architecture_breaks_it_with_a_penalty_that_is_far_too_strong():
    with pytest.raises(AssertionError, match="correlation with new samples of a linear relation is"):
        contracts.check_architecture("separable", {"weight_decay": 100.0})


def solved(spec: SampleSpec, layer=None) -> keras.Model:
    inputs = keras.Input(spec.power_shape)
    x = Standardization()(inputs)
    x = keras.layers.Flatten(name="features")(x if layer is None else layer(x))
    model = keras.Model(inputs, keras.layers.Dense(spec.n_outputs, name="coefficients")(x))
    model.solver, model.options = "ridge", None
    return model


def test_a_network_whose_weights_are_computed_keeps_the_contract():
    for check in contracts.CHECKS:
        check(solved)


def test_weights_that_are_computed_from_what_tells_nothing_are_noticed():
    blind = keras.layers.Lambda(lambda x: x[:, :2])  # too early for what the targets follow
    with pytest.raises(AssertionError, match="correlation with new samples"):
        contracts.learns_a_linear_relation(lambda spec: solved(spec, blind))


def test_an_unknown_name_is_refused():
    with pytest.raises(UsageError, match="no such architecture"):
        contracts.check_architecture("nonsense")


def test_another_number_of_outputs_is_noticed():
    with pytest.raises(AssertionError, match=r"expected output of shape \(None, 3 or more\), found \(None, 2\)"):
        contracts.maps_samples_to_targets(lambda spec: linear(spec, outputs=2))


def test_outputs_that_ignore_the_sample_are_noticed():
    with pytest.raises(AssertionError, match="the same whatever the sample"):
        contracts.maps_samples_to_targets(lambda spec: linear(spec, kernel_initializer="zeros"))


def test_a_standardization_that_is_not_ours_is_noticed():
    """Keras' own is copied into a compiled network and stays what it was at the first fit."""

    def build(spec):
        inputs = keras.Input(spec.power_shape)
        x = keras.layers.Flatten()(keras.layers.Normalization(axis=(2, 3))(inputs))
        return keras.Model(inputs, keras.layers.Dense(spec.n_outputs)(x))

    with pytest.raises(AssertionError, match="outputs do not follow adapt_standardization"):
        contracts.standardizes_by_its_training_windows(build)


def test_samples_that_know_of_each_other_are_noticed():
    mixing = keras.layers.Lambda(lambda x: x - keras.ops.mean(x, axis=0, keepdims=True))
    with pytest.raises(AssertionError, match="with the others in its batch"):
        contracts.maps_samples_to_targets(lambda spec: linear(spec, layer=mixing))


def test_weights_that_are_drawn_elsewhere_are_noticed():
    rng = np.random.default_rng()

    def anywhere(shape, dtype=None):
        return keras.ops.convert_to_tensor(rng.standard_normal(shape), dtype=dtype)

    with pytest.raises(AssertionError, match="two models of one seed differ"):
        contracts.is_the_same_for_the_same_seed(lambda spec: linear(spec, kernel_initializer=anywhere))


def test_weights_that_are_not_drawn_are_noticed():
    with pytest.raises(AssertionError, match="models of two seeds are the same"):
        contracts.is_the_same_for_the_same_seed(lambda spec: linear(spec, kernel_initializer="ones"))


def test_a_dead_weight_is_noticed():
    dead = keras.layers.Dense(6, name="dead", kernel_initializer="zeros", activation="relu")
    with pytest.raises(AssertionError, match="one training step did not move dead/kernel"):
        contracts.moves_every_weight(lambda spec: linear(spec, layer=dead))


def test_a_network_that_can_not_learn_is_noticed():
    blind = keras.layers.Lambda(lambda x: x[:, :2])  # too early for what the targets follow
    with pytest.raises(AssertionError, match="correlation with new samples"):
        contracts.learns_a_linear_relation(lambda spec: linear(spec, layer=blind))


def test_a_state_that_is_not_in_the_weights_is_noticed():
    def build(spec):
        factor = float(keras.random.uniform((), 1, 2))
        return linear(spec, layer=keras.layers.Lambda(lambda x: factor * x))

    with pytest.raises(AssertionError, match="differ after save_weights and load_weights"):
        contracts.survives_its_weights_file(build)

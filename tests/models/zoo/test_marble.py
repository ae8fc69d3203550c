from dataclasses import replace

import keras
import numpy as np
import pytest

from bids_eeg2fmri.models.registry import build_model
from bids_eeg2fmri.testing.contracts import SPEC

SMALL = {"width": 8, "n_layers": 1, "n_raw": 2, "weight_decay": 0.0}


def loss(y, y_pred, **options):
    model = build_model("marble", SPEC, SMALL | options)
    return float(
        model.compute_loss(y=y.astype(np.float32), y_pred=keras.ops.convert_to_tensor(y_pred.astype(np.float32)))
    )


def test_patches_grow_where_there_would_be_too_many_tokens():
    """Five channels for 12 s: thirty tokens of 2 s, or ten of 6 s."""
    for most, patches in ((200, 6), (14, 2), (3, 1)):
        model = build_model("marble", SPEC, SMALL | {"max_tokens": most})
        assert model.get_layer("place").output.shape == (None, patches, 5, 8)


def test_a_wrong_level_costs_the_squared_error_alone():
    truth = np.random.default_rng(0).standard_normal((9, 3))
    assert loss(truth, truth) == pytest.approx(0, abs=1e-4)
    assert loss(truth, truth + 2) == pytest.approx(0.8 * 4, abs=1e-3)


def test_what_goes_against_the_truth_costs_most_in_correlation():
    truth = np.random.default_rng(0).standard_normal((9, 3))
    assert loss(truth, -truth) == pytest.approx(0.8 * 4 * np.mean(truth**2) + 0.1 * 2 + 0.1 * 2, abs=1e-3)
    assert loss(truth, -truth, temporal_weight=0.0, spatial_weight=0.0) == pytest.approx(
        4 * np.mean(truth**2), rel=1e-3
    )


def test_one_output_has_no_correlation_across_outputs():
    """As a target of a single region has: finite, with a gradient."""
    spec = replace(SPEC, n_outputs=1)
    model = build_model("marble", spec, SMALL)
    model.compile(keras.optimizers.Adam(3e-3), jit_compile=False, run_eagerly=True)
    rng = np.random.default_rng(0)
    signal, bold = rng.standard_normal((6, *spec.signal_shape)), rng.standard_normal((6, 1))
    for _ in range(2):
        assert np.isfinite(model.train_on_batch(signal.astype(np.float32), bold.astype(np.float32)))


def test_no_electrode_needs_a_position():
    for positions_m in ((), (None, None, *SPEC.positions_m[2:])):
        model = build_model("marble", replace(SPEC, positions_m=positions_m), SMALL)
        assert model(np.zeros((2, *SPEC.signal_shape), np.float32)).shape == (2, 3)


def test_dropout_is_the_same_for_the_same_seed():
    signal = np.random.default_rng(0).standard_normal((4, *SPEC.signal_shape)).astype(np.float32)
    said = []
    for _ in range(2):
        keras.utils.set_random_seed(0)
        said.append(np.asarray(build_model("marble", SPEC, SMALL | {"dropout": 0.3})(signal, training=True)))
    np.testing.assert_array_equal(*said)

from dataclasses import replace

import keras
import numpy as np
import pytest

from bids_eeg2fmri.models.registry import build_model
from bids_eeg2fmri.models.spec import SampleSpec
from bids_eeg2fmri.testing.contracts import MASK, VOXELS

SMALL = {"encoder_filters": (6, 7, 8, 9), "unet_filters": 8, "decoder_filters": (5,)}


def test_published_shapes_have_the_published_number_of_parameters():
    """19.1 million, of which 3.4 encode the step of a diffusion, which is always the same: left out here."""
    mask = np.ones((64, 64, 30), dtype=bool)
    spec = SampleSpec(tuple(range(20)), tuple(map(str, range(64))), tuple(range(1, 250)), mask.size, mask=mask)
    assert build_model("e2fnet", spec).count_params() == pytest.approx(19.1e6 - 3.4e6, rel=0.02)


@pytest.mark.parametrize(("shape", "n_levels"), [((9, 8, 7), 2), ((5, 12, 3), 3), ((3, 2, 4), 1)])
def test_any_grid_is_painted(shape, n_levels):
    mask = np.random.default_rng(0).random(shape) < 0.6
    spec = replace(VOXELS, mask=mask, n_outputs=int(mask.sum()))
    model = build_model("e2fnet", spec, SMALL | {"n_levels": n_levels})
    assert model.output_shape == (None, mask.sum())
    assert np.isfinite(np.asarray(model(np.zeros((2, *spec.power_shape), np.float32)))).all()


def test_with_all_its_parts_every_weight_gets_a_gradient():
    keras.utils.set_random_seed(0)
    model = build_model("e2fnet", VOXELS, SMALL | {"ssim_weight": 0.5})
    model.compile(keras.optimizers.Adam(3e-3), jit_compile=False, run_eagerly=True)
    before = [np.array(weight.numpy()) for weight in model.trainable_variables]
    rng = np.random.default_rng(0)
    power, bold = rng.standard_normal((6, *VOXELS.power_shape)), rng.standard_normal((6, VOXELS.n_outputs))
    model.train_on_batch(power.astype(np.float32), bold.astype(np.float32))
    pairs = zip(model.trainable_variables, before, strict=True)
    assert [weight.path for weight, old in pairs if np.array_equal(weight.numpy(), old)] == []


def test_structure_counts_in_the_loss_if_asked_for():
    truth = np.random.default_rng(0).standard_normal((3, int(MASK.sum()))).astype(np.float32)
    model = build_model("e2fnet", VOXELS, SMALL | {"ssim_weight": 0.4})
    assert float(model.compute_loss(y=truth, y_pred=truth)) == pytest.approx(0, abs=1e-5)
    # Within the mask nothing is less like it; around it, 0 is like 0, so less than the 2 that it would be without.
    beside = float(model.compute_loss(y=truth, y_pred=-truth)) - 0.6 * 4 * np.mean(truth**2)
    assert 0.4 < beside < 0.8


def test_noise_is_for_training_alone():
    model = build_model("e2fnet", VOXELS, SMALL)
    power = np.random.default_rng(0).standard_normal((2, *VOXELS.power_shape)).astype(np.float32)
    first, again, training = (np.asarray(model(power, training=training)) for training in (False, False, True))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, training)

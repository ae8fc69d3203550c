import keras
import numpy as np
import pytest

from bids_eeg2fmri.models.registry import build_model
from bids_eeg2fmri.models.spec import SampleSpec

SPEC = SampleSpec((0.0, 1.0, 2.0, 3.0, 4.0), ("C3", "Cz", "C4"), (8.0, 10.0), n_outputs=2, sfreq=16.0)
TIMES = np.arange(-5, 0, 1 / 16)


def slow_eeg_that_follows_bold(rng, n):
    """Make one slow wave per coefficient, of another strength at each channel; frames latest first."""
    bold = rng.standard_normal((n, 2)).astype(np.float32)
    waves = np.stack([np.cos(2 * np.pi * 0.2 * TIMES), np.sin(2 * np.pi * 0.4 * TIMES)])
    strength = np.array([[1.0, 0.2, -1.0], [0.5, 1.0, 0.0]])
    eeg = np.einsum("nb,bc,bt->nct", bold, strength, waves)
    return eeg.reshape(n, 3, 5, 16).transpose(0, 2, 1, 3)[:, ::-1].astype(np.float32), bold


def transcoder(**options):
    keras.utils.set_random_seed(0)
    model = build_model("transcoder", SPEC, {"n_bands": 5, "n_sources": 7} | options)
    model.compile(keras.optimizers.Adam(0.01), loss="mse", jit_compile=False)
    return model


def test_bold_is_translated_into_the_eeg_that_follows_it():
    rng = np.random.default_rng(0)
    model = transcoder(cycle_weight=0.0, weight_decay=0.0)
    eeg, bold = slow_eeg_that_follows_bold(rng, 256)
    for batch in np.array_split(np.tile(np.arange(256), 15), 120):
        model.train_on_batch(eeg[batch], bold[batch])
    truth, new = slow_eeg_that_follows_bold(rng, 40)
    made = np.asarray(model.bold_to_eeg(new))
    assert made.shape == (40, 5, 3, 16)
    assert np.corrcoef(made.ravel(), truth.ravel())[0, 1] > 0.95


def test_made_eeg_is_in_deviations_of_each_channel():
    """What the loss compares with it is standardized."""
    model = transcoder(cycle_weight=0.0, eeg_weight=1.0, weight_decay=0.0)
    eeg, bold = slow_eeg_that_follows_bold(np.random.default_rng(0), 8)
    model.standardize.adapt(eeg.reshape(-1, 3, 16))
    volts, loss = 1e-5 * eeg + 3e-5, model.compute_loss(eeg, bold, model(eeg))
    model.standardize.adapt(volts.reshape(-1, 3, 16))
    assert float(model.compute_loss(volts, bold, model(volts))) == pytest.approx(float(loss), rel=1e-3)


def test_translations_there_and_back_are_part_of_the_loss():
    eeg, bold = slow_eeg_that_follows_bold(np.random.default_rng(0), 8)
    model, without = (transcoder(cycle_weight=weight, weight_decay=0.0) for weight in (0.5, 0.0))
    said = model(eeg)
    bold_again = model.eeg_to_bold(model.bold_to_eeg(bold))
    eeg_again = model.bold_to_eeg(said)
    cycles = np.mean((np.asarray(bold_again) - bold) ** 2) + np.mean((np.asarray(eeg_again) - eeg) ** 2)
    more = float(model.compute_loss(eeg, bold, said)) - float(without.compute_loss(eeg, bold, without(eeg)))
    assert more == pytest.approx(0.5 * cycles, rel=1e-4)


def test_both_ways_are_in_its_weights_file(tmp_path):
    model = transcoder()
    model.save_weights(tmp_path / "network.weights.h5")
    other = build_model("transcoder", SPEC, {"n_bands": 5, "n_sources": 7})
    other.load_weights(tmp_path / "network.weights.h5")
    bold = np.random.default_rng(0).standard_normal((4, 2)).astype(np.float32)
    np.testing.assert_array_equal(np.asarray(other.bold_to_eeg(bold)), np.asarray(model.bold_to_eeg(bold)))

from dataclasses import replace

import keras
import numpy as np
import pytest

from bids_eeg2fmri.errors import UsageError
from bids_eeg2fmri.models.draws import predict_draws
from bids_eeg2fmri.models.layers.noise import noisy_layers
from bids_eeg2fmri.models.registry import build_model, load_architecture
from bids_eeg2fmri.models.spec import SampleSpec
from bids_eeg2fmri.testing.contracts import SPEC, VOXELS

SMALL = {"latent": (2, 3, 4), "filters": 2}
# 64 channels, 10 frames of one repetition time of 2.16 s, 134 frequencies up to 62 Hz, volumes of 64 x 64 x 30
PUBLISHED = SampleSpec(
    tuple(2.16 * frame for frame in range(10)),
    tuple(f"E{number}" for number in range(64)),
    tuple((k + 1) / 2.16 for k in range(134)),
    n_outputs=64 * 64 * 30,
    mask=np.ones((64, 64, 30), dtype=bool),
)


def samples(spec, n=5):
    rng = np.random.default_rng(0)
    power = rng.standard_normal((n, *spec.power_shape)).astype(np.float32)
    return power, rng.standard_normal((n, spec.n_outputs)).astype(np.float32)


def build(options=None, *, seed=0, compiled=True):
    keras.utils.set_random_seed(seed)
    options = {**SMALL, **(options or {})}
    spec = SPEC if options.get("decoder") == "low_rank" else VOXELS
    model = build_model("calhas2022", spec, options)
    if compiled:
        model.compile(keras.optimizers.Adam(0.003), loss="mse", jit_compile=False, run_eagerly=True)
    model.run_eagerly = True
    return model, *samples(spec)


@pytest.fixture(scope="module")
def published():
    return build_model("calhas2022", PUBLISHED)


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("attention", 64 * 1340),
        ("eeg_block_1", 4_636),
        ("eeg_block_2", 3_628),
        ("latent", 1152 * 343 + 343),
        ("features", 343 * 343 + 343 + 1 + 2 * 343),
        ("style", 64 * 64 * 343),
        ("voxels", 343 * 122_880 + 122_880),
        ("convolution", 2),
        ("image_block_1", 8_556),
        ("image_block_2", 5_100),
        ("image_block_3", 90_732),
        ("image_latent", 1372 * 343 + 343),
    ],
)
def test_each_part_has_the_published_size(part, expected, published):
    where = published.image_encoder if part.startswith("image") else published
    assert where.get_layer(part).count_params() == expected


def test_the_whole_has_the_published_size(published):
    """Beside the original's there are mean and deviation of each frequency."""
    assert published.count_params() - 2 * 134 == 44_859_159
    assert published.image_encoder.count_params() == 575_327


@pytest.mark.parametrize(
    "options",
    [
        {"decoder": "dct", "style": "prior", "low_resolution": (3, 2, 4)},
        {"decoder": "variational_dct", "features": "deterministic", "loss": "mse_cosine"},
        {"decoder": "variational_dct", "distribution": "von_mises", "attention": False, "style": "none"},
        {"decoder": "low_rank", "features": "linear", "loss": "laplacian"},
        {"decoder": "low_rank", "variational": True},
        {"loss": "laplacian", "weight_decay": 0, "organize": 0, "dropout": 0},
    ],
    ids=str,
)
def test_every_option_gives_a_network_that_trains_and_is_saved(options, tmp_path):
    model, power, y = build(options)
    before = [weight.numpy().copy() for weight in model.trainable_variables]
    loss = model.train_on_batch(power, y)
    assert np.isfinite(loss)
    still = [
        weight.path
        for weight, old in zip(model.trainable_variables, before, strict=True)
        if np.array_equal(weight.numpy(), old)
    ]
    assert not still
    model.save_weights(tmp_path / "network.weights.h5")
    other, _, _ = build(options, seed=9, compiled=False)
    other.load_weights(tmp_path / "network.weights.h5")
    np.testing.assert_array_equal(model.predict_on_batch(power), other.predict_on_batch(power))


def test_columns_are_prediction_then_scales_then_the_latent():
    model, power, _ = build({"loss": "laplacian"})
    outputs = model.predict_on_batch(power)
    n = VOXELS.n_outputs
    assert outputs.shape == (5, 2 * n + 24)
    latent = keras.Model(model.input, model.get_layer("latent").output)(power)
    np.testing.assert_allclose(outputs[:, 2 * n :], latent, atol=1e-5)
    scale = keras.Model(model.input, model.get_layer("log_scale").output)(power)
    np.testing.assert_allclose(outputs[:, n : 2 * n], scale, atol=1e-5)


def test_the_loss_is_error_plus_distance_of_latents_plus_penalties():
    model, power, y = build({"dropout": 0.0})
    outputs = model(power)
    n = VOXELS.n_outputs
    z_x, z_y = np.asarray(outputs)[:, n:], np.asarray(model.image_encoder(y))
    cosine = (z_x * z_y).sum(1) / np.linalg.norm(z_x, axis=1) / np.linalg.norm(z_y, axis=1)
    expected = np.abs(outputs[:, :n] - y).mean() + np.mean(1 - cosine) + float(sum(model.losses))
    assert float(model.compute_loss(power, y, outputs, training=False)) == pytest.approx(expected, rel=1e-5)
    assert float(sum(model.losses)) > 0


def test_samples_of_no_weight_have_no_say():
    model, power, y = build()
    outputs = model(power)
    weights = np.array([1, 1, 1, 1, 0], np.float32)
    other = y.copy()
    other[4] += 100
    one, two = (float(model.compute_loss(power, truth, outputs, weights, training=False)) for truth in (y, other))
    assert one == pytest.approx(two, rel=1e-6)


def test_at_prediction_the_image_is_not_asked_for(published):
    names = {layer.name for layer in published.layers}
    assert "latent" in names
    assert not any(name.startswith("image") for name in names)


def test_a_rise_of_power_that_all_channels_share_is_seen():
    """The original standardized over channels, which removes it."""
    model, power, _ = build()
    n = VOXELS.n_outputs
    change = model.predict_on_batch(power + 1) - model.predict_on_batch(power)
    assert np.abs(change[:, :n]).max() > 0.01


def test_channels_keep_the_levels_that_attention_tells_them_apart_by():
    model, power, _ = build()
    layer = model.get_layer("standardize")
    levels = 5.0 * np.arange(5, dtype=np.float32)[:, None]
    layer.adapt((power + levels).reshape(-1, *power.shape[2:]))
    standardized = np.asarray(layer(power + levels)).mean(axis=(0, 1, 3))
    assert (np.diff(standardized) > 0.3).all()


def test_decoder_and_basis_of_a_trained_network_are_whole_in_its_weights(tmp_path):
    """The original dropped the attention of a pretrained network and drew the random basis anew."""
    trained, power, y = build()
    trained.train_on_batch(power, y)
    trained.save_weights(tmp_path / "network.weights.h5")
    loaded, _, _ = build(seed=7, compiled=False)
    loaded.load_weights(tmp_path / "network.weights.h5")
    for part in ("attention", "features", "style", "voxels"):
        for one, other in zip(trained.get_layer(part).weights, loaded.get_layer(part).weights, strict=True):
            np.testing.assert_array_equal(one, other)
    for one, other in zip(trained.image_encoder.weights, loaded.image_encoder.weights, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("options", [{"variational": True}, {"decoder": "variational_dct"}], ids=str)
def test_draws_have_a_spread_and_the_plain_prediction_has_none(options):
    model, power, _ = build(options)
    plain = model.predict_on_batch(power)
    mean, spread = predict_draws(model, power, n_draws=6)
    assert mean.shape == spread.shape == plain.shape
    assert spread[:, : VOXELS.n_outputs].min() > 0
    np.testing.assert_array_equal(model.predict_on_batch(power), plain)
    assert all(float(layer.noise) == 0 for layer in noisy_layers(model))


def test_a_network_that_draws_nothing_has_no_spread_to_ask_for():
    model, power, _ = build({"decoder": "low_rank"})
    with pytest.raises(ValueError, match="calhas2022: expected a network with a layer that draws, found none"):
        predict_draws(model, power)


def test_what_it_predicts_depends_on_the_decoder():
    assert load_architecture("calhas2022").predicts == "voxels"
    assert load_architecture("calhas2022", {"decoder": "low_rank"}).predicts == "coefficients"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attention": False}, "posterior comes from attention, which is off; choose prior or none"),
        ({"decoder": "lowrank"}, "calhas2022: decoder: input should be 'dense', 'dct'"),
        ({"filters": 0}, "calhas2022: filters: input should be greater than 0"),
        ({"dropout": 1.0}, "calhas2022: dropout: input should be less than 1"),
    ],
)
def test_options_that_can_not_be_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        load_architecture("calhas2022", options)


def test_other_montages_and_volumes_need_no_change_by_hand():
    mask = np.zeros((23, 27, 22), bool)
    mask[4:20, 3:24, 5:18] = True
    spec = replace(
        SPEC,
        channels=tuple(f"E{number}" for number in range(41)),
        positions_m=(),
        n_outputs=int(mask.sum()),
        mask=mask,
    )
    model = build_model("calhas2022", spec, SMALL)
    power, y = samples(spec, 2)
    outputs = model(power)
    assert outputs.shape == (2, spec.n_outputs + 24)
    assert np.isfinite(float(model.compute_loss(power, y, outputs)))

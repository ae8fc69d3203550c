import keras
import numpy as np
import pytest

from bids_eeg2fmri.models.layers.scalp import CENTER_M, ScalpFunctions, scalp_functions, spread_points

SIZES = {"n_landmarks": 30, "width_rad": 0.5}


def cap(n: int, *, turned: float = 0.0) -> list[tuple[float, float, float]]:
    """Electrodes all over a head of 95 mm radius."""
    points = spread_points(n) @ np.array(
        [[np.cos(turned), -np.sin(turned), 0], [np.sin(turned), np.cos(turned), 0], [0, 0, 1]]
    )
    return [tuple(xyz) for xyz in 0.095 * points + CENTER_M]


def smooth_map(positions) -> np.ndarray:
    places = (np.array(positions) - CENTER_M) / 0.095
    return places[:, 0] + 0.5 * places[:, 1] * places[:, 2] + 0.3


def test_points_cover_a_head_down_to_below_the_ears():
    points = spread_points(500)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1)
    assert points[:, 2].max() > 0.99
    assert -0.43 < points[:, 2].min() < -0.4
    assert np.abs(points[:, :2].mean(0)).max() < 0.01


@pytest.mark.parametrize("n", [19, 48, 128])
def test_another_cap_gives_the_same_of_the_same_map(n):
    """The integrals are those of the map, whatever the number and places of the electrodes."""
    dense, other = cap(256), cap(n, turned=0.4)
    of_dense, of_other = (smooth_map(c) @ scalp_functions(c, **SIZES) for c in (dense, other))
    assert np.linalg.norm(of_other - of_dense) < 0.15 * np.linalg.norm(of_dense)


def test_near_electrodes_say_the_same_and_far_ones_do_not():
    near, at, far = (0.0, 0.01, 0.135), (0.0, 0.0, 0.135), (0.0, 0.095, 0.04)
    weights = scalp_functions([at, near, far], **SIZES)
    directions = weights / np.linalg.norm(weights, axis=1, keepdims=True)
    assert directions[0] @ directions[1] > 0.9
    assert abs(directions[0] @ directions[2]) < 0.2


def test_a_channel_without_position_has_no_weight():
    weights = scalp_functions([None, *cap(9)], **SIZES)
    np.testing.assert_array_equal(weights[0], 0)
    np.testing.assert_array_equal(weights[1:], scalp_functions(cap(9), **SIZES))


def test_without_any_position_each_channel_is_its_own():
    np.testing.assert_array_equal(scalp_functions([None] * 4, **SIZES), np.eye(4))


def test_the_layer_sums_over_channels_alone_and_has_nothing_to_learn():
    layer = ScalpFunctions(cap(7))
    inputs = np.random.default_rng(0).standard_normal((2, 3, 7, 5)).astype(np.float32)
    outputs = np.asarray(layer(inputs))
    assert outputs.shape == layer.compute_output_shape(inputs.shape) == (2, 3, 30, 5)
    np.testing.assert_allclose(outputs[1, 2, :, 4], inputs[1, 2, :, 4] @ layer.weights_of_channels, atol=1e-5)
    assert layer.weights == []
    copy = keras.layers.deserialize(keras.layers.serialize(layer))
    np.testing.assert_array_equal(copy.weights_of_channels, layer.weights_of_channels)

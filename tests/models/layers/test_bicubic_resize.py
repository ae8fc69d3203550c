import keras
import numpy as np
import pytest

from bids_eeg2fmri.models.layers.bicubic_resize import BicubicResize, bicubic_weights


@pytest.mark.parametrize(("n_from", "n_to"), [(2, 9), (31, 8), (1, 5), (7, 7)])
def test_weights_of_each_pixel_sum_to_1(n_from, n_to):
    weights = bicubic_weights(n_from, n_to)
    assert weights.shape == (n_to, n_from)
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-6)


def test_the_same_size_is_the_same_image():
    image = np.random.default_rng(0).standard_normal((2, 4, 5, 3)).astype(np.float32)
    np.testing.assert_allclose(np.asarray(BicubicResize((4, 5))(image)), image, atol=1e-6)


def test_a_slope_stays_a_slope_away_from_the_edges():
    slope = np.arange(10, dtype=np.float32)[None, :, None, None] * np.ones((1, 10, 4, 2), np.float32)
    resized = np.asarray(BicubicResize((20, 6))(slope))
    assert resized.shape == (1, 20, 6, 2)
    np.testing.assert_allclose(resized[0, 4:16, 3, 1], np.arange(4, 16) / 2 - 0.25, atol=0.1)


def test_half_way_between_two_pixels_it_weighs_as_pytorch_does():
    """Keys' kernel at distances of 1/2 and 3/2, with a sharpness of -3/4: 19/32 and -3/32."""
    np.testing.assert_allclose(bicubic_weights(4, 2)[0], [-3 / 32 + 19 / 32, 19 / 32, -3 / 32, 0], atol=1e-6)


def test_a_saved_layer_is_made_anew_from_its_configuration():
    assert keras.layers.deserialize(keras.layers.serialize(BicubicResize((4, 5)))).size == (4, 5)

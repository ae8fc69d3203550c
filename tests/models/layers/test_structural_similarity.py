import numpy as np
import pytest

from bids_eeg2fmri.models.layers.structural_similarity import structural_similarity

RNG = np.random.default_rng(0)
IMAGES = RNG.standard_normal((2, 9, 8, 5)).astype(np.float32)


def similarity(said, **options):
    return float(structural_similarity(IMAGES, said.astype(np.float32), **options))


def test_an_image_is_like_itself_and_unlike_its_negative():
    assert similarity(IMAGES) == pytest.approx(1, abs=1e-5)
    assert similarity(-IMAGES) == pytest.approx(-1, abs=0.01)


def test_noise_makes_images_less_alike():
    noise = RNG.standard_normal(IMAGES.shape)
    assert 1 > similarity(IMAGES + 0.3 * noise) > similarity(IMAGES + noise) > similarity(noise)


def test_it_is_that_of_one_window_where_the_image_is_not_larger():
    covariance = (IMAGES * IMAGES[::-1]).mean((1, 2)) - IMAGES.mean((1, 2)) * IMAGES[::-1].mean((1, 2))
    variance = IMAGES.var((1, 2))
    expected = (2 * covariance + 9e-4) / (variance + variance[::-1] + 9e-4)
    assert similarity(IMAGES[::-1], window=20) == pytest.approx(float(expected.mean()), abs=1e-4)


def test_images_that_differ_by_a_constant_are_the_same():
    assert similarity(IMAGES + 1) == pytest.approx(1, abs=1e-3)

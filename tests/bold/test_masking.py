import numpy as np
import pytest

from bids_eeg2fmri.bold.masking import brain_mask
from bids_eeg2fmri.errors import InputDataError


@pytest.fixture
def mean():
    """A bright ball on a dim, noisy background."""
    x, y, z = np.meshgrid(np.arange(22), np.arange(25), np.arange(19), indexing="ij")
    inside = (x - 11) ** 2 / 64 + (y - 12) ** 2 / 81 + (z - 9) ** 2 / 36 < 1
    rng = np.random.default_rng(0)
    return np.where(inside, 600 + 40 * rng.standard_normal(inside.shape), 5 * rng.random(inside.shape)), inside


def test_the_brain_is_found(mean):
    image, inside = mean
    mask = brain_mask(image, np.diag([8.0, 8, 8, 1]))
    assert mask.dtype == bool
    assert (mask & inside).sum() / (mask | inside).sum() > 0.9


def test_a_voxel_that_is_nan_is_outside(mean):
    image, _ = mean
    image[11, 12, 9] = np.nan
    mask = brain_mask(image, np.diag([8.0, 8, 8, 1]))
    assert not mask[11, 12, 9]
    assert mask.sum() > 500


@pytest.mark.parametrize("what", ["zeros", "one voxel", "nan", "no background"])
def test_an_image_without_a_brain_is_refused(what):
    image = np.full((12, 14, 11), np.nan) if what == "nan" else np.zeros((12, 14, 11))
    if what == "one voxel":
        image[3, 4, 5] = 100
    if what == "no background":
        image = 900 + np.random.default_rng(0).standard_normal((6, 7, 5))
    with pytest.raises(InputDataError, match="expected a brain in the mean BOLD image"):
        brain_mask(image, np.eye(4))

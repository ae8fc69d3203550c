"""Motion is seen around the brain, and nothing that happens in the brain is taken for motion."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from bids_eeg2fmri.bold.motion import estimate_motion
from bids_eeg2fmri.errors import InputDataError

TR_S = 1.9
AFFINE = np.array([[-3.5, 0.1, 0, 40], [0, 3.6, 0.3, -50], [0.1, -0.3, 4.0, -45], [0, 0, 0, 1]])
SHAPE = (28, 31, 25)
N = 70


@pytest.fixture(scope="module")
def head():
    """A bright brain within a skull and a scalp, as a function of place."""
    rng = np.random.default_rng(0)
    texture = gaussian_filter(rng.standard_normal((60, 60, 60)), 3)
    texture /= texture.std()

    def intensity(xyz):
        inner = np.linalg.norm((xyz - CENTER) / (29, 36, 31), axis=-1)
        outer = np.linalg.norm((xyz - CENTER) / (41, 48, 43), axis=-1)
        index = tuple(np.clip(np.rint((xyz - CENTER) / 2 + 30).astype(int), 0, 59).T)
        brain = 900 / (1 + np.exp((inner - 1) * 12))
        return brain + 250 * np.exp(-0.5 * ((outer - 0.95) / 0.12) ** 2) * (1 + 0.2 * texture[index].T)

    return intensity


CENTER = AFFINE[:3, :3] @ (np.array(SHAPE) / 2) + AFFINE[:3, 3]
PLACES = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), -1) @ AFFINE[:3, :3].T + AFFINE[:3, 3]
BRAIN = np.linalg.norm((PLACES - CENTER) / (29, 36, 31), axis=-1) < 1


def moved_by(head, translation, rotation):
    """Sample the head after it turned and moved: what is at x came from where it was before."""
    volumes = []
    for shift, turn in zip(translation, rotation, strict=True):
        places = PLACES - shift
        places = places - np.cross(turn, places - CENTER)  # small angles
        volumes.append(head(places.reshape(-1, 3)).reshape(SHAPE))
    data = np.stack(volumes, -1)
    return (data + np.random.default_rng(3).standard_normal(data.shape)).astype(np.float32)


def wandering(seed, size):
    steps = gaussian_filter(np.random.default_rng(seed).standard_normal((N, 3)), (4, 0))
    return size * (steps - steps.mean(0)) / steps.std(0)


def test_translation_and_rotation_are_recovered_in_mm_and_rad(head):
    translation, rotation = wandering(1, 0.15), wandering(2, 0.004)
    motion = estimate_motion(moved_by(head, translation, rotation), BRAIN, AFFINE, tr_s=TR_S)
    assert motion.shape == (N, 6)
    for axis in range(3):
        assert np.corrcoef(motion[:, axis], translation[:, axis])[0, 1] > 0.95
        assert np.polyfit(translation[:, axis], motion[:, axis], 1)[0] == pytest.approx(1, abs=0.35)
        assert np.corrcoef(motion[:, 3 + axis], rotation[:, axis])[0, 1] > 0.9


def test_activation_is_no_motion(head):
    translation = wandering(1, 0.1)
    still = moved_by(head, translation, np.zeros((N, 3)))
    active = still.copy()
    active[BRAIN] *= 1 + 0.05 * np.random.default_rng(5).standard_normal(N)
    np.testing.assert_allclose(
        estimate_motion(active, BRAIN, AFFINE, tr_s=TR_S),
        estimate_motion(still, BRAIN, AFFINE, tr_s=TR_S),
        atol=1e-3 * translation.std(),
    )


def test_brightness_of_the_whole_image_is_no_motion(head):
    still = moved_by(head, np.zeros((N, 3)), np.zeros((N, 3)))
    with pytest.raises(InputDataError, match="tells of no motion"):
        estimate_motion(still * (1 + 0.02 * np.random.default_rng(6).standard_normal(N)), BRAIN, AFFINE, tr_s=TR_S)


def test_what_can_not_be_told_is_zero(head):
    motion = estimate_motion(moved_by(head, wandering(1, 0.2) * (0, 1, 0), np.zeros((N, 3))), BRAIN, AFFINE, tr_s=TR_S)
    assert motion[:, 1].std() == pytest.approx(0.2, rel=0.35)
    assert not motion[:, 0].any()


def test_a_brain_that_was_cut_out_tells_of_no_motion(head):
    data = np.where(BRAIN[..., None], moved_by(head, wandering(1, 0.3), np.zeros((N, 3))), 0)
    with pytest.raises(InputDataError, match="expected an image of more than the brain, found 0 voxels around it"):
        estimate_motion(data, BRAIN, AFFINE, tr_s=TR_S)


def test_voxels_that_are_nan_are_left_out(head):
    translation = wandering(1, 0.2)
    data = moved_by(head, translation, np.zeros((N, 3)))
    data[3:6] = np.nan
    motion = estimate_motion(data, BRAIN, AFFINE, tr_s=TR_S)
    assert np.corrcoef(motion[:, 1], translation[:, 1])[0, 1] > 0.95

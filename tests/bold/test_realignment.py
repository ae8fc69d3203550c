"""The head is found where it was simulated, and volumes come back to where the first one was."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from bids_eeg2fmri.bold.realignment import Motion, estimate_position, resample_at
from bids_eeg2fmri.errors import InputDataError
from bids_eeg2fmri.testing.anatomy import as_scanned

# Oblique, with voxels of three sizes.
TURNED = Rotation.from_euler("xyz", [9, -6, 12], degrees=True).as_matrix()
AFFINE = np.eye(4)
AFFINE[:3, :3] = TURNED @ np.diag([-3.2, 3.4, 4.1])
AFFINE[:3, 3] = [58, -71, -40]
SHAPE = (36, 41, 29)
N = 7


@pytest.fixture(scope="module")
def head():
    """A textured ellipsoid with a rim, as an image."""
    rng = np.random.default_rng(1)
    places = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), -1)
    inner = np.linalg.norm((places - np.array(SHAPE) / 2) / (13, 16, 10.5), axis=-1)
    texture = gaussian_filter(rng.standard_normal(SHAPE), 1.5)
    return (700 + 900 * texture / texture.std() * 0.15) / (1 + np.exp((inner - 1) * 14)) + 30


def moved(head, motion, noise=4.0):
    data = np.repeat(head[..., None], len(motion), axis=-1).astype(np.float32)
    data = as_scanned(data, AFFINE, None, motion)
    return data + np.random.default_rng(2).normal(0, noise, data.shape).astype(np.float32)


def wandering(size_mm, n=N):
    rng = np.random.default_rng(3)
    motion = rng.normal(0, size_mm, (n, 6)) * [1, 1, 1, 0.02, 0.02, 0.02]
    motion[0] = 0
    return motion


def centers():
    return (
        np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), -1).reshape(-1, 3) @ AFFINE[:3, :3].T
        + AFFINE[:3, 3]
    )


@pytest.mark.parametrize("size_mm", [0.3, 1.5])
def test_translation_in_mm_and_rotation_in_rad_are_those_of_the_head(head, size_mm):
    truth = wandering(size_mm)
    motion = estimate_position(moved(head, truth), AFFINE)
    # The simulation turns around the center of the image, the estimate around that of the head.
    middle = centers().mean(0)
    for volume in range(N):
        turned = Rotation.from_rotvec(truth[volume, 3:]).as_matrix()
        expected = turned @ (motion.center_mm - middle) + middle + truth[volume, :3] - motion.center_mm
        assert motion.parameters[volume, :3] == pytest.approx(expected, abs=0.06)
        assert motion.parameters[volume, 3:] == pytest.approx(truth[volume, 3:], abs=0.0015)


def test_a_head_that_lies_still_is_found_still(head):
    motion = estimate_position(moved(head, np.zeros((N, 6))), AFFINE)
    assert motion.farthest_mm < 0.06
    assert motion.framewise_mm.max() < 0.08


def test_a_change_of_overall_intensity_is_no_motion(head):
    data = moved(head, np.zeros((N, 6)))
    data *= 1 + 0.03 * np.arange(N, dtype=np.float32)
    assert estimate_position(data, AFFINE).farthest_mm < 0.08


def test_volumes_come_back_to_where_the_reference_is(head):
    truth = wandering(1.5)
    data = moved(head, truth, noise=0.0)
    motion = estimate_position(data, AFFINE)
    inside = head.ravel() > 200
    volumes = list(resample_at(data, AFFINE, centers(), motion))
    for volume in range(1, N):
        before = np.abs(data[..., volume].ravel() - head.ravel())[inside].mean()
        after = np.abs(volumes[volume] - head.ravel())[inside].mean()
        assert after < 0.12 * before


def test_no_volume_has_a_say_in_how_another_one_is_moved(head):
    data = moved(head, wandering(1.0))
    other = data.copy()
    other[..., -1] = data[..., -1][::-1]
    np.testing.assert_array_equal(
        estimate_position(data, AFFINE).matrices[:-1], estimate_position(other, AFFINE).matrices[:-1]
    )


def test_the_reference_is_the_volume_that_is_asked_for(head):
    motion = estimate_position(moved(head, wandering(1.0)), AFFINE, reference=2)
    assert motion.matrices[2] == pytest.approx(np.eye(4), abs=1e-3)
    assert np.abs(motion.matrices[0] - np.eye(4)).max() > 0.05


def test_framewise_displacement_adds_up_millimetres_at_50_mm():
    matrices = np.repeat(np.eye(4)[None], 3, axis=0)
    matrices[1, :3, 3] = [0.1, -0.2, 0.3]
    matrices[2, :3, :3] = Rotation.from_rotvec([0.004, 0, 0]).as_matrix()
    motion = Motion(matrices, np.zeros(3))
    assert motion.framewise_mm == pytest.approx([0, 0.6, 0.6 + 50 * 0.004])


def test_values_stay_within_those_of_the_volume():
    data = np.zeros((*SHAPE, 1), np.float32)
    data[10:20, 10:20, 10:20] = 1000
    [values] = resample_at(data, AFFINE, centers() + 1.1)
    assert values.min() >= 0
    assert values.max() <= 1000


def test_an_image_without_edges_is_refused():
    with pytest.raises(InputDataError, match="expected an image with edges on all sides"):
        estimate_position(np.full((*SHAPE, 3), 500, np.float32), AFFINE)

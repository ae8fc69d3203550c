"""A brain of its own shape comes to lie on the template, and says where each of its voxels is."""

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from bids_eeg2fmri.bold.masking import brain_mask
from bids_eeg2fmri.bold.normalization import TEMPLATE, normalize, template_grid
from bids_eeg2fmri.errors import InputDataError
from bids_eeg2fmri.testing.anatomy import as_scanned, draw_shape
from bids_eeg2fmri.testing.simulate import Brain, Simulation

SIMULATION = Simulation(grid=(45, 56, 41))


@pytest.fixture(scope="module")
def brain():
    return Brain.of(SIMULATION)


@pytest.fixture(scope="module")
def scan(brain):
    """A participant's mean image, the top of the head cut off by the field of view, and where its voxels lie in the template."""
    rng = np.random.default_rng(4)
    shape = draw_shape(SIMULATION.grid, brain.affine, size_mm=3.0, rng=rng)
    image = as_scanned(brain.anatomy[..., None], brain.affine, shape)[..., 0]
    return (image + rng.normal(0, 8, image.shape))[:, :, :-9], shape.points_mm[:, :, :-9]


@pytest.fixture(scope="module")
def found(brain, scan):
    image, _ = scan
    return normalize(image, brain_mask(image, brain.affine), brain.affine)


def places_of(points_mm, where_mm, affine):
    """Where points of the participant's image lie in the template, by the simulation."""
    voxels = np.linalg.inv(affine) @ np.column_stack([where_mm, np.ones(len(where_mm))]).T
    return np.stack([map_coordinates(axis, voxels[:3], order=1) for axis in np.moveaxis(points_mm, -1, 0)], -1)


def test_every_voxel_of_the_template_is_found_in_the_participant(brain, scan, found):
    _, points_mm = scan
    expected = template_grid(4).coordinates_mm()
    where = found.locate(expected)
    seen = np.isfinite(where).all(1)
    error_mm = np.linalg.norm(places_of(points_mm, where[seen], brain.affine) - expected[seen], axis=1)
    assert np.median(error_mm) < 1.6
    assert np.percentile(error_mm, 95) < 5
    by_affine = expected[seen] @ found.affine[:3, :3].T + found.affine[:3, 3]
    linear_mm = np.linalg.norm(places_of(points_mm, by_affine, brain.affine) - expected[seen], axis=1)
    assert np.median(error_mm) < 0.6 * np.median(linear_mm)


def test_what_lies_beyond_the_field_of_view_is_nowhere(brain, scan, found):
    image, _ = scan
    expected = template_grid(4).coordinates_mm()
    seen = np.isfinite(found.locate(expected)).all(1)
    # The top of the brain is gone, its middle is there.
    assert not seen[expected[:, 2] > 75].any()
    assert seen[np.abs(expected[:, 2]) < 20].all()
    where = found.locate(expected)[seen]
    voxels = (np.linalg.inv(brain.affine) @ np.column_stack([where, np.ones(len(where))]).T)[:3].T
    assert (voxels > -1).all()
    assert (voxels < image.shape).all()


def test_the_deformation_brings_more_overlap_than_the_affine_part(found):
    assert found.overlap[1] > 0.9
    assert found.overlap[1] >= found.overlap[0]


def test_the_grid_of_the_template_says_what_it_is():
    grid = template_grid(5)
    assert grid.entities == f"space-{TEMPLATE}_res-5"
    assert np.diag(grid.affine)[:3] == pytest.approx(5)
    assert 0.9e6 < grid.n_voxels * 125 < 2.2e6  # mm3 of a brain
    assert grid.space_code == 4


def test_what_is_no_brain_is_refused():
    rng = np.random.default_rng(5)
    slab = np.zeros((30, 30, 12), bool)
    slab[2:28, 13:17, 2:10] = True
    image = np.where(slab, 900 + 50 * rng.standard_normal(slab.shape), 0)
    with pytest.raises(
        InputDataError, match=r"expected a brain of 0\.7 to 1\.4 times the size of the template's, found"
    ):
        normalize(image, slab, np.diag([5.0, 5.0, 5.0, 1.0]))

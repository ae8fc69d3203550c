import numpy as np
import pytest

from bids_eeg2fmri.bold.grid import Grid
from bids_eeg2fmri.bold.regions import tile_regions


@pytest.fixture
def grid():
    x, y, z = np.meshgrid(np.arange(14), np.arange(17), np.arange(13), indexing="ij")
    mask = (x - 7) ** 2 / 40 + (y - 8) ** 2 / 60 + (z - 6) ** 2 / 30 < 1
    return Grid(mask, np.array([[9.0, 0, 0, -63], [0, 9, 0, -80], [0, 0, 9, -40], [0, 0, 0, 1]]))


def test_every_voxel_has_a_region_and_every_region_voxels(grid):
    regions = tile_regions(grid)
    assert regions.labels.shape == (grid.n_voxels,)
    assert set(regions.labels) == set(range(len(regions.names)))
    assert len(set(regions.names)) == len(regions.names) > 8


def test_no_region_is_a_splinter(grid):
    assert np.bincount(tile_regions(grid).labels).min() >= 0.25 * 27000 / 729


def test_a_name_tells_where_the_region_is(grid):
    regions = tile_regions(grid)
    region = regions.names.index("L15P15S15")
    xyz = grid.coordinates_mm()[regions.labels == region]
    np.testing.assert_allclose(xyz.mean(0), [-15, -15, 15], atol=6)


def test_the_mean_of_a_region_is_the_mean_of_its_voxels(grid):
    regions = tile_regions(grid)
    table = np.random.default_rng(0).standard_normal((5, grid.n_voxels)).astype(np.float32)
    means = regions.mean(table)
    assert means.shape == (5, len(regions.names))
    np.testing.assert_allclose(means[:, 3], table[:, regions.labels == 3].mean(1), rtol=1e-5)


def test_a_mask_smaller_than_any_cube_is_one_region():
    mask = np.zeros((7, 8, 9), dtype=bool)
    mask[3, 4, 5:7] = True
    regions = tile_regions(Grid(mask, np.eye(4)))
    assert len(regions.names) == 1
    assert regions.labels.tolist() == [0, 0]

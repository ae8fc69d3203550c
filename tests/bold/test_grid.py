import numpy as np
import pytest

from bids_eeg2fmri.bold.grid import Grid, percent_change, smooth

AFFINE = np.array([[-3.0, 0, 0, 40], [0, 3.5, 0, -55], [0, 0, 4, -30], [0, 0, 0, 1]])


@pytest.fixture
def grid():
    mask = np.random.default_rng(0).random((7, 8, 9)) < 0.4
    return Grid(mask, AFFINE)


def test_a_table_goes_back_to_where_it_came_from(grid):
    data = np.random.default_rng(1).random((7, 8, 9, 5)).astype(np.float32)
    table = grid.table(data)
    assert table.shape == (5, grid.n_voxels)
    back = grid.array(table)
    assert back.shape == (7, 8, 9, 5)
    np.testing.assert_array_equal(back[grid.mask], data[grid.mask])
    assert not back[~grid.mask].any()


def test_the_background_is_what_is_asked_for(grid):
    background = np.random.default_rng(2).random((7, 8, 9)).astype(np.float32)
    table = np.ones((5, grid.n_voxels))
    back = grid.array(table, background)
    np.testing.assert_array_equal(back[~grid.mask], np.repeat(background[~grid.mask][:, None], 5, 1))
    assert (grid.array(table[0], -1.0)[~grid.mask] == -1).all()


def test_an_image_has_the_affine_the_unit_and_the_repetition_time(grid):
    image = grid.image(np.ones((5, grid.n_voxels)), tr_s=2.3)
    assert image.shape == (7, 8, 9, 5)
    np.testing.assert_array_equal(image.affine, AFFINE)
    assert image.header.get_zooms()[3] == pytest.approx(2.3)
    assert image.header.get_xyzt_units() == ("mm", "sec")


def test_voxels_are_at_their_place_in_mm(grid):
    i, j, k = np.argwhere(grid.mask)[17]
    np.testing.assert_allclose(grid.coordinates_mm()[17], [40 - 3 * i, 3.5 * j - 55, 4 * k - 30])


def test_a_shifted_grid_is_another_one(grid):
    shifted = AFFINE.copy()
    shifted[0, 3] += 0.1
    assert grid.same_as(Grid(~grid.mask, AFFINE + 1e-4))
    assert not grid.same_as(Grid(grid.mask, shifted))
    assert not grid.same_as(Grid(grid.mask[:-1], AFFINE))


def test_percent_change_by_hand():
    change = percent_change(np.array([[101.0, 50.0], [98.0, 75.0]]), np.array([100.0, 50.0]))
    np.testing.assert_allclose(change, [[1, 0], [-2, 50]])


def test_smoothing_keeps_what_surrounds_the_brain_out():
    mask = np.zeros((9, 10, 11), bool)
    mask[2:7, 2:8, 2:9] = True
    grid = Grid(mask, np.diag([3.0, 3.0, 4.0, 1.0]))
    flat = np.full((2, grid.n_voxels), 700, np.float32)
    np.testing.assert_allclose(smooth(flat, grid, fwhm_mm=8.0), flat, rtol=1e-4)


def test_smoothing_is_as_wide_as_is_asked_for_in_mm():
    grid = Grid(np.ones((41, 37, 33), bool), np.diag([2.0, 3.0, 2.5, 1.0]))
    point = np.zeros((41, 37, 33), np.float32)
    point[20, 18, 16] = 1
    [smoothed] = smooth(grid.table(point[..., None]), grid, fwhm_mm=9.0)
    image = grid.array(smoothed)
    for axis, line in enumerate((image[:, 18, 16], image[20, :, 16], image[20, 18, :])):
        distance = (np.arange(len(line)) - line.argmax()) * np.linalg.norm(grid.affine[:3, axis])
        width = np.sqrt((line * distance**2).sum() / line.sum()) * np.sqrt(8 * np.log(2))
        assert width == pytest.approx(9.0, rel=0.03)


def test_a_width_of_zero_leaves_the_table_as_it_is():
    grid = Grid(np.ones((3, 4, 5), bool), np.eye(4))
    table = np.random.default_rng(0).random((2, 60)).astype(np.float32)
    assert smooth(table, grid, fwhm_mm=0.0) is table


def test_grids_of_different_spaces_are_not_the_same():
    mask, affine = np.ones((3, 4, 5), bool), np.diag([2.0, 2.0, 2.0, 1.0])
    assert not Grid(mask, affine, 4, "MNI152NLin2009cAsym").same_as(Grid(mask, affine, 4, "MNI152NLin6Asym"))
    assert Grid(mask, affine, 4, "MNI152NLin6Asym", "2").entities == "space-MNI152NLin6Asym_res-2"
    assert Grid(mask, affine).entities == ""

"""Regions of an atlas lie where the atlas has them, whatever its voxels and axes; the rest is elsewhere."""

import numpy as np
import pytest

from bids_eeg2fmri.bold.grid import Grid
from bids_eeg2fmri.bold.regions import ELSEWHERE, label_regions
from bids_eeg2fmri.errors import InputDataError

GRID = Grid(np.ones((12, 14, 10), bool), np.array([[4.0, 0, 0, -22], [0, 4, 0, -26], [0, 0, 4, -18], [0, 0, 0, 1]]))
# Voxels of 2 mm whose first axis goes to the left.
AFFINE = np.array([[-2.0, 0, 0, 40], [0, 2, 0, -40], [0, 0, 2, -30], [0, 0, 0, 1]])


@pytest.fixture
def labels():
    """Left and right of the middle, 7 and 3, above the origin."""
    x, _, z = np.meshgrid(40 - 2 * np.arange(41), np.arange(41), -30 + 2 * np.arange(31), indexing="ij")
    return np.where(z > 0, np.where(x < 0, 7, 3), 0)


def test_each_voxel_has_the_label_at_its_place(labels):
    regions = label_regions(GRID, labels, AFFINE, {7: "left", 3: "right"})
    xyz = GRID.coordinates_mm()
    of_voxel = np.array(regions.names)[regions.labels]
    assert (of_voxel[(xyz[:, 0] < -1) & (xyz[:, 2] > 1)] == "left").all()
    assert (of_voxel[(xyz[:, 0] > 1) & (xyz[:, 2] > 1)] == "right").all()
    assert (of_voxel[xyz[:, 2] < -1] == ELSEWHERE).all()


def test_means_are_those_of_the_voxels(labels):
    regions = label_regions(GRID, labels, AFFINE, {7: "left", 3: "right"})
    table = np.vstack([GRID.coordinates_mm()[:, 0], np.ones(GRID.n_voxels)])
    means = regions.mean(table)[:, regions.names.index("left")]
    assert means == pytest.approx([table[0, regions.labels == regions.names.index("left")].mean(), 1.0])


def test_labels_without_a_name_are_called_by_their_number(labels):
    assert set(label_regions(GRID, labels, AFFINE, {7: "left"}).names) == {ELSEWHERE, "left", "label3"}


def test_two_labels_of_one_name_stay_apart(labels):
    names = label_regions(GRID, labels, AFFINE, {7: "cortex", 3: "cortex"}).names
    assert len(set(names)) == 3


def test_regions_of_hardly_any_voxel_go_elsewhere(labels):
    labels[20, 20, 20] = 12
    assert "label12" not in label_regions(GRID, labels, AFFINE, {}).names


def test_an_atlas_of_another_space_is_refused(labels):
    away = AFFINE.copy()
    away[:3, 3] += 300
    with pytest.raises(InputDataError, match="expected an atlas that lies on the brain, found regions in 0 %"):
        label_regions(GRID, labels, away, {})

"""What the page says of the BOLD, from the numbers that the participant level wrote."""

import pytest

from bids_eeg2fmri.reports.bold import describe_bold, draw_motion

RECORDED = {
    "space": "native",
    "n_unsteady": 2,
    "n_left_out": 5,
    "confounds": "scrubbing",
    "n_confounds": 24,
    "motion": {
        "realigned": True,
        "farthest_mm": 1.84,
        "framewise_mm_mean": 0.21,
        "framewise_mm": [0.0, 0.1, 0.7, 0.2, 0.9, 0.6, 0.1],
    },
    "normalization": {"overlap": [0.88, 0.94], "affine": []},
    "tsnr": [41.2, 63.8],
}


def test_every_step_is_told_with_its_numbers_before_and_after():
    rows = dict(describe_bold(RECORDED | {"space": "MNI152NLin2009aAsym"}))
    assert rows["Series"] == "as recorded, normalized to the space MNI152NLin2009aAsym"
    assert rows["Before the steady state"] == "2 volumes left out"
    assert rows["Scrubbed"] == "3 volumes left out for the motion of the head"
    assert rows["Motion of the head"].startswith(
        "up to 1.8 mm from where it was; from volume to volume 0.21 mm on average"
    )
    assert rows["Motion of the head"].endswith("more than 0.5 mm 3 times; realigned")
    assert "0.88 by the affine part, 0.94 with the deformation" in rows["Normalization"]
    assert rows["Confounds"].startswith("24 confounds (strategy scrubbing)")
    assert rows["Signal to noise"].endswith("41 as recorded, 64 as used")


def test_of_a_pipelines_series_its_file_is_told():
    done = {"pipeline": "fmriprep", "file": "sub-01/func/x_bold.nii.gz", "space": "T1w", "tsnr": [None, 52.0]}
    rows = dict(describe_bold(done))
    assert rows["Series"] == "as fmriprep made it, in the space T1w: sub-01/func/x_bold.nii.gz"
    assert rows["Before the steady state"] == "no volume"
    assert rows["Signal to noise"].endswith("median voxel: 52")
    assert "Motion of the head" not in rows


def test_a_head_that_was_left_where_it_is_is_told_so():
    still = RECORDED | {"motion": RECORDED["motion"] | {"realigned": False}}
    assert "left where it is" in dict(describe_bold(still))["Motion of the head"]


@pytest.mark.parametrize("n_unsteady", [0, 2])
def test_the_figure_of_motion_says_in_words_what_it_shows(n_unsteady):
    picture = draw_motion(RECORDED | {"n_unsteady": n_unsteady}, tr_s=1.9)
    assert picture.alt == (
        "Framewise displacement of 7 volumes: 0.37 mm on average, 0.9 mm at most, 3 times above 0.5 mm."
    )
    assert picture.uri.startswith("data:image/svg+xml;base64,")

import gzip
import json

import numpy as np
import pytest

from bids_eeg2fmri.bids.reading import find_confounds_file, find_physio_file, read_physio
from bids_eeg2fmri.errors import InputDataError, MissingFilesError

STEM = "sub-01_task-rest_run-1"


@pytest.fixture
def func(tmp_path):
    folder = tmp_path / "dataset" / "sub-01" / "func"
    folder.mkdir(parents=True)
    return folder


def write(path, rows, **sidecar):
    with gzip.open(path, "wt") as file:
        file.writelines("\t".join(map(str, row)) + "\n" for row in rows)
    path.with_name(path.name.replace(".tsv.gz", ".json")).write_text(json.dumps(sidecar))
    return path


def test_the_cardiac_column_is_read_with_its_clock(func):
    rows = [(0.1 * i, 5 - i, "n/a" if i == 3 else i) for i in range(7)]
    columns = ["respiratory", "trigger", "cardiac"]
    path = write(func / f"{STEM}_physio.tsv.gz", rows, SamplingFrequency=49.8, StartTime=-7.25, Columns=columns)
    assert find_physio_file(func / f"{STEM}_bold.nii.gz") == path
    physio = read_physio(path)
    np.testing.assert_array_equal(physio.signal, [0, 1, 2, np.nan, 4, 5, 6])
    assert (physio.sfreq, physio.start_s) == (49.8, -7.25)


def test_of_several_recordings_the_one_with_a_heart_is_found(func):
    told = {"SamplingFrequency": 100, "StartTime": 0}
    breath = func / f"{STEM}_recording-breath_physio.tsv.gz"
    heart = func / f"{STEM}_recording-abc_physio.tsv.gz"
    write(breath, [(1,)], Columns=["respiratory"], **told)
    assert find_physio_file(func / f"{STEM}_bold.nii.gz") is None
    write(heart, [(1,)], Columns=["Cardiac"], **told)
    assert find_physio_file(func / f"{STEM}_bold.nii.gz") == heart
    assert find_physio_file(func / "sub-01_task-rest_run-2_bold.nii.gz") is None


@pytest.mark.parametrize(
    "sidecar", [{"SamplingFrequency": "fast", "StartTime": 0}, {"SamplingFrequency": 0, "StartTime": 0},
                {"SamplingFrequency": 50, "StartTime": None}],
)  # fmt: skip
def test_a_sidecar_that_does_not_tell_the_clock_is_refused(func, sidecar):
    path = write(func / f"{STEM}_physio.tsv.gz", [(1, 2)], Columns=["cardiac", "trigger"], **sidecar)
    with pytest.raises(InputDataError, match=r"expected Columns with one of cardiac, .* found .*; correct them"):
        read_physio(path)


def test_a_file_that_is_no_table_of_numbers_is_refused(func):
    told = {"SamplingFrequency": 50, "StartTime": 0, "Columns": ["trigger", "cardiac"]}
    path = write(func / f"{STEM}_physio.tsv.gz", [(1, 2), (3,)], **told)
    with pytest.raises(InputDataError, match="expected numbers, found it unreadable"):
        read_physio(path)
    path.write_bytes(b"no gzip, but long enough")
    with pytest.raises(InputDataError, match="expected numbers, found it unreadable"):
        read_physio(path)
    path.unlink()
    with pytest.raises(MissingFilesError, match="expected a file, found none"):
        read_physio(path)


def test_confounds_of_the_same_series_are_found_whatever_its_space(func):
    bold = func / f"{STEM}_space-MNI_desc-preproc_bold.nii.gz"
    assert find_confounds_file(bold) is None
    for name in (f"{STEM}_desc-other_timeseries.tsv", "sub-01_task-rest_run-2_desc-confounds_timeseries.tsv"):
        (func / name).write_text("")
        assert find_confounds_file(bold) is None
    wanted = func / f"{STEM}_desc-confounds_timeseries.tsv"
    wanted.write_text("")
    assert find_confounds_file(bold) == wanted

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from bids_eeg2fmri.bids.derivatives import Derivatives
from bids_eeg2fmri.bids.participants import read_participant
from bids_eeg2fmri.bids.recordings import Recording
from bids_eeg2fmri.errors import MissingFilesError, OutputError

AFFINE = np.array([[-3.0, 0.1, 0, 40], [0, 3.5, 0, -55], [0, 0, 4, -30], [0, 0, 0, 1]])


@pytest.fixture
def derivatives(tmp_path):
    (tmp_path / "raw").mkdir()
    made = Derivatives(tmp_path / "out", tmp_path / "raw")
    made.create()
    return made


@pytest.fixture
def recording(derivatives):
    folder = derivatives.source / "sub-01/ses-2"
    stem = "sub-01_ses-2_task-rest"
    return Recording("01", folder / f"eeg/{stem}_eeg.vhdr", folder / f"func/{stem}_bold.nii.gz", "same", {}, {})


def series(data):
    image = nib.Nifti1Image(data.astype(np.float32), AFFINE)
    image.header.set_xyzt_units("mm", "sec")
    image.header.set_zooms((*image.header.get_zooms()[:3], 2.3))
    return image


def test_a_series_comes_back_with_its_units_to_a_few_parts_in_a_hundred_thousand(derivatives, recording):
    data = np.random.default_rng(0).uniform(0, 900, (7, 8, 9, 5))
    data[0] = 0
    path = derivatives.root / derivatives.write_bold(recording, series(data), {"Model": "x"})
    image = nib.load(path)
    back = np.asarray(image.dataobj)
    assert path.name == "sub-01_ses-2_task-rest_desc-synth_bold.nii.gz"
    assert np.abs(back - data).max() <= 0.51 * 900 / 32767
    assert not back[0].any()
    np.testing.assert_allclose(image.affine, AFFINE)
    assert image.header.get_zooms()[3] == pytest.approx(2.3)
    sidecar = json.loads(path.with_name(path.name.replace(".nii.gz", ".json")).read_text())
    assert sidecar["TaskName"] == "rest"
    assert sidecar["RepetitionTime"] == pytest.approx(2.3)
    assert sidecar["Sources"][0] == "bids:raw:sub-01/ses-2/eeg/sub-01_ses-2_task-rest_eeg.vhdr"
    assert sidecar["Model"] == "x"


def test_a_file_is_there_whole_or_not_at_all(derivatives, recording):
    class Broken:
        def to_filename(self, path):
            Path(path).write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        derivatives.write_mask(recording, Broken())
    assert not [path for path in (derivatives.root / "sub-01").rglob("*") if path.is_file()]


def test_an_older_file_stays_when_its_replacement_fails(derivatives, recording):
    derivatives.write_volumes(recording, pd.DataFrame({"volume": [0, 1]}))
    path = derivatives.root / "sub-01/ses-2/func/sub-01_ses-2_task-rest_desc-synth_timeseries.tsv"

    class Broken:
        def to_csv(self, path, **options):
            Path(path).write_text("half")
            raise OSError(28, "No space left on device")

    with pytest.raises(
        OutputError, match=r"desc-synth_timeseries.tsv: cannot be written \(No space left on device\); free"
    ):
        derivatives.write_volumes(recording, Broken())
    assert path.read_text() == "volume\n0\n1\n"
    assert not list(derivatives.root.rglob(".part_*"))


def test_missing_values_are_as_bids_has_them(derivatives, recording):
    path = derivatives.root / derivatives.write_volumes(recording, pd.DataFrame({"onset": [0.5, np.nan]}))
    assert path.read_text() == "onset\n0.5\nn/a\n"


def test_others_may_read_what_is_written(derivatives, recording):
    path = derivatives.root / derivatives.write_volumes(recording, pd.DataFrame({"volume": [0, 1]}))
    assert path.stat().st_mode & 0o444 == 0o444


def test_samples_come_back_without_pickle(derivatives, recording):
    path = derivatives.write_samples(recording, power=np.ones((3, 4)), channels=np.array(["C3", "C4"]))
    back = derivatives.read_samples(path.as_posix())
    assert back["channels"].tolist() == ["C3", "C4"]
    assert list(derivatives.read_samples(path.as_posix(), only=("power",))) == ["power"]
    assert list(derivatives.read_samples(path.as_posix(), leave_out=("power",))) == ["channels"]


def test_the_table_of_participants_lists_every_folder(derivatives):
    derivatives.write_participant(
        "02", {"participant_id": "sub-02", "covariates": {"age": 31, "group": "patient"}}, None
    )
    (derivatives.root / "sub-01").mkdir()
    derivatives.write_participant("03", {"participant_id": "sub-03", "covariates": {}}, None)
    table = (derivatives.root / "participants.tsv").read_text()
    assert table == "participant_id\tage\tgroup\nsub-01\tn/a\tn/a\nsub-02\t31\tpatient\nsub-03\tn/a\tn/a\n"


def test_without_results_the_participant_level_is_asked_for(derivatives):
    with pytest.raises(MissingFilesError, match="expected results of the participant level"):
        derivatives.read_summaries()


def test_the_folder_derivatives_of_the_input_is_a_usual_place(tmp_path):
    (tmp_path / "raw").mkdir()
    Derivatives(tmp_path / "raw/derivatives/mine", tmp_path / "raw").create()
    description = json.loads((tmp_path / "raw/derivatives/mine/dataset_description.json").read_text())
    assert description["DatasetLinks"]["raw"] == "../.."
    with pytest.raises(OutputError, match="lies inside the input"):
        Derivatives(tmp_path / "raw/mine", tmp_path / "raw").create()


@pytest.mark.parametrize("prefix", ["sub-", ""])
def test_covariates_are_those_of_the_participant(prefix, tmp_path):
    (tmp_path / "participants.tsv").write_text(
        f"participant_id\tage\tgroup\tsite\n{prefix}01\t30\tcontrol\tn/a\n{prefix}02\tn/a\tpatient\tx\n"
    )
    assert read_participant(tmp_path, "01") == {"age": 30, "group": "control"}
    assert read_participant(tmp_path, "02") == {"group": "patient", "site": "x"}
    assert read_participant(tmp_path, "03") == {}


def test_a_dataset_without_a_table_of_participants_has_no_covariates(tmp_path):
    assert read_participant(tmp_path, "01") == {}


def test_what_was_concluded_of_a_group_is_forgotten_and_nothing_else(derivatives):
    derivatives.write_group({"n": 3}, {"task": pd.DataFrame({"r": [0.2]})})
    derivatives.write_group_map("within_r", nib.Nifti1Image(np.zeros((2, 3, 4), np.float32), AFFINE))
    derivatives.write_report("group", "<p>")
    derivatives.write_report("sub-01", "<p>")
    derivatives.remove_group()
    assert list(derivatives.root.glob("group*")) == []
    assert (derivatives.root / "sub-01.html").is_file()


def test_regions_come_back_with_the_volumes_that_were_not_judged(derivatives, recording):
    table = pd.DataFrame({"onset": [4.3, 6.6], "L15A15S15_measured": [np.nan, -0.31]})
    path = derivatives.write_regions(recording, table)
    pd.testing.assert_frame_equal(derivatives.read_regions(path.as_posix()), table)

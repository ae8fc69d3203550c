"""What other pipelines made of a dataset is found by its names, in the space that is wanted, and nothing else is."""

import json

import pytest

from bids_eeg2fmri.bids.index import DataFile, parse_entities
from bids_eeg2fmri.bids.pipelines import find_pipelines, find_preprocessed_bold, match_cleaned_eeg
from bids_eeg2fmri.errors import InputDataError, MissingFilesError

RAW = "sub-01_ses-2_task-rest_acq-fast_run-1_bold.nii.gz"
STEM = "sub-01_ses-2_task-rest_acq-fast_run-1"


@pytest.fixture
def dataset(tmp_path):
    (tmp_path / "ds/sub-01/ses-2/func").mkdir(parents=True)
    (tmp_path / "ds/sub-01/ses-2/func" / RAW).touch()
    return tmp_path / "ds"


@pytest.fixture
def bold(dataset):
    return dataset / "sub-01/ses-2/func" / RAW


@pytest.fixture
def make(dataset):
    """Make files of a derivative dataset; give its pipeline."""

    def make(*names, root="derivatives/fmriprep", by="fMRIPrep", kind="func"):
        folder = dataset / root / "sub-01/ses-2" / kind
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            (folder / name).touch()
        description = {"Name": "x", "BIDSVersion": "1.10.0", "GeneratedBy": [{"Name": by}]}
        (dataset / root / "dataset_description.json").write_text(json.dumps(description))
        return folder

    return make


class TestFolders:
    def test_fmriprep_is_found_in_the_dataset_by_its_description(self, dataset, make):
        make(root="derivatives/preproc-2024")
        [pipeline] = find_pipelines(dataset, {})
        assert (pipeline.name, pipeline.root.name) == ("fmriprep", "preproc-2024")

    def test_or_by_the_name_of_its_folder(self, dataset):
        (dataset / "derivatives/fmriprep").mkdir(parents=True)
        assert [p.name for p in find_pipelines(dataset, {})] == ["fmriprep"]

    def test_derivatives_of_other_pipelines_are_not_taken_unasked(self, dataset, make):
        make(root="derivatives/bids_eeg2fmri", by="bids_eeg2fmri")
        make(root="derivatives/xcp", by="XCP-D")
        assert find_pipelines(dataset, {}) == []

    def test_a_broken_description_is_none(self, dataset, make):
        make(root="derivatives/other")
        (dataset / "derivatives/other/dataset_description.json").write_text('["no object"]')
        assert find_pipelines(dataset, {}) == []

    def test_what_the_user_names_comes_first_and_counts_once(self, dataset, make, tmp_path):
        make()
        (tmp_path / "mine/sub-01").mkdir(parents=True)
        found = find_pipelines(dataset, {"mine": tmp_path / "mine", "prep": dataset / "derivatives/fmriprep"})
        assert [p.name for p in found] == ["mine", "prep"]

    def test_a_folder_that_is_missing_or_holds_nobody_is_refused(self, dataset, tmp_path):
        with pytest.raises(MissingFilesError, match=r"--derivatives x=.*nowhere: expected a folder, found none"):
            find_pipelines(dataset, {"x": tmp_path / "nowhere"})
        (tmp_path / "empty").mkdir()
        with pytest.raises(MissingFilesError, match="expected folders sub-<label>, found none"):
            find_pipelines(dataset, {"x": tmp_path / "empty"})


class TestBold:
    def find(self, dataset, bold, space="auto"):
        return find_preprocessed_bold(find_pipelines(dataset, {}), bold, space)

    @pytest.mark.parametrize(
        ("there", "expected"),
        [
            (["space-T1w", "space-MNI152NLin2009cAsym"], ("MNI152NLin2009cAsym", None)),
            (["space-MNI152NLin6Asym_res-2", "space-MNIPediatricAsym_cohort-1_res-1"], ("MNI152NLin6Asym", "2")),
            (["space-MNI152NLin2009cAsym_res-2", "space-MNI152NLin2009cAsym"], ("MNI152NLin2009cAsym", None)),
            (["space-T1w", ""], ("T1w", None)),
            (["space-MNIInfant_cohort-3_res-2", "space-T1w"], ("MNIInfant", "2")),
            ([""], ("native", None)),
        ],
    )
    def test_a_standard_space_is_preferred_at_the_resolution_of_the_series(self, dataset, bold, make, there, expected):
        make(*["_".join(part for part in (STEM, space, "desc-preproc_bold.nii.gz") if part) for space in there])
        found = self.find(dataset, bold)
        assert (found.space, found.resolution) == expected

    def test_the_space_that_is_asked_for_is_taken(self, dataset, bold, make):
        make(
            *[
                f"{STEM}_space-{s}_desc-preproc_bold.nii.gz"
                for s in ("T1w", "MNI152NLin6Asym_res-1", "MNI152NLin6Asym_res-2")
            ]
        )
        assert self.find(dataset, bold, "T1w").space == "T1w"
        assert self.find(dataset, bold, "MNI152NLin6Asym:res-2").resolution == "2"

    def test_a_space_that_is_not_there_is_told_with_those_that_are(self, dataset, bold, make):
        make(*[f"{STEM}_space-{s}_desc-preproc_bold.nii.gz" for s in ("T1w", "MNI152NLin6Asym_res-2")])
        with pytest.raises(InputDataError, match="in the space native, found it in MNI152NLin6Asym:res-2, T1w; choose"):
            self.find(dataset, bold, "native")

    def test_mask_and_confounds_are_those_of_the_series(self, dataset, bold, make):
        make(
            f"{STEM}_space-T1w_desc-preproc_bold.nii.gz",
            f"{STEM}_space-T1w_desc-brain_mask.nii.gz",
            f"{STEM}_space-MNI152NLin6Asym_desc-brain_mask.nii.gz",
            f"{STEM}_desc-confounds_timeseries.tsv",
            f"{STEM.replace('run-1', 'run-2')}_desc-confounds_timeseries.tsv",
        )
        found = self.find(dataset, bold)
        assert found.mask.name == f"{STEM}_space-T1w_desc-brain_mask.nii.gz"
        assert found.confounds.name == f"{STEM}_desc-confounds_timeseries.tsv"

    @pytest.mark.parametrize(
        "other",
        [
            f"{STEM.replace('run-1', 'run-2')}_desc-preproc_bold.nii.gz",
            f"{STEM.replace('acq-fast_', '')}_desc-preproc_bold.nii.gz",
            f"{STEM}_desc-smoothAROMAnonaggr_bold.nii.gz",
            f"{STEM}_boldref.nii.gz",
            f"._{STEM}_desc-preproc_bold.nii.gz",
            f"{STEM}_hemi-L_space-fsaverage5_bold.func.gii",
        ],
    )
    def test_files_of_another_run_or_kind_are_not_taken(self, dataset, bold, make, other):
        make(other)
        assert self.find(dataset, bold) is None

    def test_runs_are_numbers_and_a_combination_outranks_its_echoes(self, dataset, bold, make):
        name = STEM.replace("run-1", "run-01")
        make(f"{name}_echo-1_desc-preproc_bold.nii.gz", f"{name}_desc-preproc_bold.nii.gz")
        assert self.find(dataset, bold).path.name == f"{name}_desc-preproc_bold.nii.gz"


class TestEeg:
    RECORDED = "sub-01_ses-2_task-rest_acq-fast_run-1_eeg.vhdr"

    def recorded(self, dataset):
        path = dataset / "sub-01/ses-2/eeg" / self.RECORDED
        return DataFile(path, "eeg", parse_entities(path.name))

    def test_cleaned_eeg_is_matched_with_what_was_recorded(self, dataset, make):
        folder = make(f"{STEM}_desc-clean_eeg.set", f"{STEM}_desc-clean_eeg.fdt", kind="eeg")
        eeg = self.recorded(dataset)
        cleaned, others = match_cleaned_eeg(find_pipelines(dataset, {}), "01", [eeg])
        assert cleaned == {eeg.path: folder / f"{STEM}_desc-clean_eeg.set"}
        assert others == []

    def test_cleaned_eeg_of_a_recording_that_is_not_there_stands_for_it(self, dataset, make):
        make(f"{STEM}_desc-clean_eeg.edf", kind="eeg")
        cleaned, [other] = match_cleaned_eeg(find_pipelines(dataset, {}), "01", [])
        assert cleaned == {}
        assert other.name == f"{STEM}_desc-clean_eeg.edf"
        assert other.label("run") == 1

    def test_two_versions_are_refused(self, dataset, make):
        make(f"{STEM}_desc-clean_eeg.edf", f"{STEM}_desc-ica_eeg.edf", kind="eeg")
        with pytest.raises(InputDataError, match=r"expected one version of a recording, found .*desc-clean.*desc-ica"):
            match_cleaned_eeg(find_pipelines(dataset, {}), "01", [self.recorded(dataset)])

"""BOLD as it comes: recorded with heads that move and differ, or preprocessed by fMRIPrep; the real command on both."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from bids_eeg2fmri.bids.derivatives import Derivatives
from bids_eeg2fmri.bids.pipelines import find_pipelines
from bids_eeg2fmri.bold.drift import remove_drift
from bids_eeg2fmri.bold.grid import Grid
from bids_eeg2fmri.config import BoldSettings, Settings
from bids_eeg2fmri.errors import InputDataError
from bids_eeg2fmri.testing.simulate import Simulation, simulate_dataset
from bids_eeg2fmri.workflow.account import Account, Task
from bids_eeg2fmri.workflow.bold import prepare_bold
from bids_eeg2fmri.workflow.eeg import Sampling
from bids_eeg2fmri.workflow.plan import plan_participant
from bids_eeg2fmri.workflow.preparation import prepare

STEM = "sub-01_task-rest"
SPACE = "MNI152NLin2009cAsym"


@pytest.fixture(scope="module")
def moving(tmp_path_factory):
    """Two participants of their own shape who move, beside what fMRIPrep would have made of them; three volumes are unsteady."""
    path = tmp_path_factory.mktemp("moving") / "dataset"
    simulate_dataset(
        path,
        Simulation(
            n_participants=2, tasks=("rest",), duration_s=200.0, n_channels=12, grid=(26, 31, 25), lead_s=22.0,
            anatomy_mm=2.0, motion_mm=2.0, n_unsteady=3, with_fmriprep=True, seed=3,
        ),
    )  # fmt: skip
    return path


@pytest.fixture(scope="module")
def run(app, settings_file, moving, tmp_path_factory):
    """Run the participant level, with more settings and arguments; give what came out."""

    def run(*arguments, bold="", dataset=moving, subject="01"):
        output = tmp_path_factory.mktemp("out") / "derivatives"
        settings = output.with_name("settings.toml")
        settings.write_text(settings_file.read_text().replace("[bold]\n", f"[bold]\n{bold}\n"))
        result = app(
            dataset,
            output,
            "participant",
            "--participant-label",
            subject,
            "--config-file",
            settings,
            "--n-cpus",
            2,
            *arguments,
        )
        return result, output

    return run


@pytest.fixture(scope="module")
def preferred(run):
    return run()


@pytest.fixture(scope="module")
def normalized(run):
    return run("--output-spaces", "MNI152NLin2009aAsym", bold='preprocessed = "never"\nresolution_mm = 6')


def plan(dataset, subject="01", *, named=None, **bold):
    """Plan a participant with these settings of [bold]; give the settings too."""
    settings = BoldSettings(**bold)
    pipelines = find_pipelines(dataset, named or {})
    [planned] = plan_participant(dataset, subject, Settings(bold=settings), pipelines=pipelines)
    return planned, settings


def read(dataset, subject="01", *, named=None, **bold):
    """Read the BOLD of a participant's only pair, without its EEG."""
    planned, settings = plan(dataset, subject, named=named, **bold)
    if planned.error is not None:
        raise planned.error
    return prepare_bold(planned.recording, settings)


def entry_of(output: Path, subject="01") -> dict:
    summary = json.loads((output / f"sub-{subject}/sub-{subject}_summary.json").read_text())
    return summary["recordings"][0]


def score_of(output: Path, subject="01") -> dict:
    return json.loads((output / f"sub-{subject}/sub-{subject}_summary.json").read_text())["scores"][0]


@pytest.fixture
def copy_of(moving, tmp_path):
    """A copy of the dataset that a test may break."""
    return Path(shutil.copytree(moving, tmp_path / "dataset"))


class TestPreferred:
    def test_fmriprep_is_found_and_preferred(self, preferred):
        result, output = preferred
        assert result.code == 0, result.err
        done = entry_of(output)["bold_done"]
        assert (done["pipeline"], done["space"]) == ("fmriprep", SPACE)
        assert done["file"] == f"sub-01/func/{STEM}_space-{SPACE}_desc-preproc_bold.nii.gz"
        assert done["n_unsteady"] == 3

    def test_the_series_is_synthesized_on_its_voxels_under_the_name_of_its_space(self, preferred, moving):
        _, output = preferred
        image = nib.load(output / f"sub-01/func/{STEM}_space-{SPACE}_desc-synth_bold.nii.gz")
        mask = nib.load(output / f"sub-01/func/{STEM}_space-{SPACE}_desc-brain_mask.nii.gz")
        theirs = moving / f"derivatives/fmriprep/sub-01/func/{STEM}_space-{SPACE}_desc-brain_mask.nii.gz"
        np.testing.assert_array_equal(np.asarray(mask.dataobj) > 0, np.asarray(nib.load(theirs).dataobj) > 0)
        assert image.shape == (26, 31, 25, 100)
        assert int(image.header["sform_code"]) == 4

    def test_the_sidecar_names_both_sources_and_the_dataset_links_to_them(self, preferred, moving):
        _, output = preferred
        sidecar = json.loads((output / f"sub-01/func/{STEM}_space-{SPACE}_desc-synth_bold.json").read_text())
        assert sidecar["Sources"] == [
            f"bids:raw:sub-01/eeg/{STEM}_eeg.vhdr",
            f"bids:raw:sub-01/func/{STEM}_bold.nii.gz",
            f"bids:fmriprep:sub-01/func/{STEM}_space-{SPACE}_desc-preproc_bold.nii.gz",
        ]
        assert sidecar["MeasuredBOLD"]["pipeline"] == "fmriprep"
        links = json.loads((output / "dataset_description.json").read_text())["DatasetLinks"]
        assert (output / links["fmriprep"]).resolve() == (moving / "derivatives/fmriprep").resolve()

    def test_volumes_before_the_steady_state_are_neither_learned_nor_judged(self, preferred):
        _, output = preferred
        volumes = pd.read_csv(output / f"sub-01/func/{STEM}_desc-synth_timeseries.tsv", sep="\t")
        # All of them have the EEG that a window needs.
        assert volumes.synthesized.tolist() == [False] * 3 + [True] * 97
        regions = pd.read_csv(output / f"sub-01/func/{STEM}_desc-regions_timeseries.tsv", sep="\t", na_values="n/a")
        assert regions.iloc[:3, 1:].isna().all(axis=None)
        assert regions.iloc[3:, 1:].notna().all(axis=None)

    def test_the_page_says_what_was_done(self, preferred):
        _, output = preferred
        page = (output / "sub-01.html").read_text()
        assert f"as fmriprep made it, in the space {SPACE}" in page
        assert "3 volumes left out" in page
        assert "of the MNI template" in page
        assert "as preprocessed by fmriprep (Esteban et al., 2019)" in page

    def test_the_recorded_series_gives_the_same_scores_once_it_is_realigned_and_normalized(self, preferred, normalized):
        theirs, ours = score_of(preferred[1]), score_of(normalized[1])
        assert theirs["voxel_r_95"] > 0.15
        assert ours["voxel_r_95"] == pytest.approx(theirs["voxel_r_95"], rel=0.25)


class TestAsRecorded:
    def test_motion_is_undone_where_the_head_moved_and_told(self, moving):
        kept, undone = read(moving, preprocessed="never", realign="never"), read(moving, preprocessed="never")
        assert "motion" not in kept.done
        assert undone.done["motion"]["realigned"]
        assert 1 < undone.done["motion"]["farthest_mm"] < 6
        truth = pd.read_csv(moving / f"derivatives/fmriprep/sub-01/func/{STEM}_desc-confounds_timeseries.tsv", sep="\t")
        theirs = pd.to_numeric(truth.framewise_displacement, errors="coerce").to_numpy()[4:]
        assert np.corrcoef(undone.done["motion"]["framewise_mm"][4:], theirs)[0, 1] > 0.9
        six = truth[[f"{kind}_{axis}" for kind in ("trans", "rot") for axis in "xyz"]].to_numpy()
        before, after = (self.explained(measured, six) for measured in (kept, undone))
        assert before > 0.15
        assert after < 0.65 * before

    def explained(self, measured, motion):
        """Share of the variance of the median voxel that motion explains, slow changes apart."""
        usable = measured.usable
        slow = np.vander(np.linspace(-1, 1, len(usable)), 4)[usable]
        table = remove_drift(measured.table[usable].astype(np.float64), slow)
        rest = remove_drift(table, np.hstack([slow, motion[usable]]))
        return 1 - float(np.median((rest**2).sum(0) / (table**2).sum(0)))

    def test_a_head_that_lies_still_is_left_where_it_is(self, dataset):
        measured = read(dataset, preprocessed="never")
        assert not measured.done["motion"]["realigned"]
        assert measured.usable.all()
        source = np.asarray(nib.load(dataset / f"sub-01/func/{STEM}_bold.nii.gz").dataobj)
        np.testing.assert_array_equal(measured.table, measured.grid.table(source))

    def test_volumes_before_the_steady_state_are_found(self, moving):
        measured = read(moving, preprocessed="never")
        assert measured.usable.tolist() == [False] * 3 + [True] * 97

    def test_it_keeps_its_voxels(self, moving):
        measured = read(moving, preprocessed="never")
        source = nib.load(moving / f"sub-01/func/{STEM}_bold.nii.gz")
        np.testing.assert_allclose(measured.grid.affine, source.affine)
        assert measured.grid.mask.shape == source.shape[:3]
        assert measured.grid.entities == ""

    def test_it_is_normalized_to_the_template_that_is_asked_for(self, normalized, moving):
        result, output = normalized
        assert result.code == 0, result.err
        name = f"{STEM}_space-MNI152NLin2009aAsym_res-6"
        image = nib.load(output / f"sub-01/func/{name}_desc-synth_bold.nii.gz")
        sidecar = json.loads((output / f"sub-01/func/{name}_desc-synth_bold.json").read_text())
        assert sidecar["Resolution"] == "voxels of 6 x 6 x 6 mm"
        assert sidecar["MeasuredBOLD"]["normalization"]["overlap"][1] > 0.85
        assert image.header.get_zooms()[:3] == pytest.approx((6, 6, 6))
        transform = nib.load(output / entry_of(output)["files"]["transform"])
        assert transform.shape == (*image.shape[:3], 3)

    def test_the_normalized_brain_lies_where_fmripreps_does(self, normalized, moving):
        from nilearn.image import mean_img, resample_to_img

        _, output = normalized
        image = nib.load(output / f"sub-01/func/{STEM}_space-MNI152NLin2009aAsym_res-6_desc-synth_bold.nii.gz").slicer[
            ..., 0
        ]
        theirs = nib.load(moving / f"derivatives/fmriprep/sub-01/func/{STEM}_space-{SPACE}_desc-preproc_bold.nii.gz")
        mean = resample_to_img(mean_img(theirs), image, force_resample=True, copy_header=True)
        ours = np.asarray(image.dataobj)
        inside = ours > 0
        assert np.corrcoef(ours[inside], np.asarray(mean.dataobj)[inside])[0, 1] > 0.75

    def test_a_space_that_nobody_can_give_is_refused_with_those_that_there_are(self, run, moving):
        result, _ = run("--output-spaces", "anat")
        assert result.code == 65
        assert "in the space T1w, found it in MNI152NLin2009cAsym, native; choose one of them" in result.err
        with pytest.raises(
            InputDataError, match="--output-spaces MNI152NLin2009aAsym, to which recorded BOLD is normalized"
        ):
            read(moving, preprocessed="never", space="T1w")

    def test_smoothing_makes_neighbours_alike(self, moving):
        rough, smoothed = read(moving), read(moving, smoothing_fwhm_mm=12.0)
        assert smoothed.done["smoothing_fwhm_mm"] == 12
        assert smoothed.done["tsnr"][1] > 1.3 * rough.done["tsnr"][1]


class TestDerivativesElsewhere:
    def test_they_are_read_where_the_user_points(self, copy_of, tmp_path):
        shutil.move(copy_of / "derivatives/fmriprep", tmp_path / "elsewhere")
        assert "pipeline" not in read(copy_of, realign="never").done
        measured = read(copy_of, named={"mine": tmp_path / "elsewhere"}, space="native")
        assert (measured.done["pipeline"], measured.done["space"]) == ("mine", "native")

    def test_a_dry_run_says_which_series_would_be_taken(self, app, moving, tmp_path):
        result = app(moving, tmp_path / "out", "participant", "--dry-run")
        assert result.code == 0, result.err
        assert f"BOLD as fmriprep made it: {STEM}_space-{SPACE}_desc-preproc_bold.nii.gz" in result.out

    def test_a_participant_whom_the_pipeline_has_not_is_read_as_recorded(self, copy_of):
        shutil.rmtree(copy_of / "derivatives/fmriprep/sub-02")
        assert "pipeline" not in read(copy_of, "02", realign="never").done

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            ("fmriprep=", "expected NAME=PATH with a name of letters and digits"),
            ("my prep=/data", "expected NAME=PATH with a name of letters and digits"),
            ("raw=/data", "expected a name for each folder, found 'raw' taken"),
            ("prep=/no/such/folder", "--derivatives prep=/no/such/folder: expected a folder, found none"),
        ],
    )
    def test_a_slip_in_the_option_is_told_in_one_line(self, app, moving, tmp_path, value, message):
        result = app(moving, tmp_path / "out", "participant", "-d", value)
        assert result.code in (64, 66)
        assert message in result.last_line

    def test_two_spaces_at_once_are_refused(self, app, moving, tmp_path):
        result = app(moving, tmp_path / "out", "participant", "--output-spaces", "T1w", SPACE)
        assert result.code == 64
        assert "expected one space, found T1w MNI152NLin2009cAsym; run once for each" in result.last_line

    def test_a_series_of_other_length_is_refused(self, copy_of):
        path = copy_of / f"derivatives/fmriprep/sub-01/func/{STEM}_space-{SPACE}_desc-preproc_bold.nii.gz"
        image = nib.load(path)
        nib.save(nib.Nifti1Image(np.asarray(image.dataobj)[..., 3:], image.affine, image.header), path)
        with pytest.raises(InputDataError, match=rf"expected 100 volumes as in {STEM}_bold\.nii\.gz, found 97"):
            read(copy_of)

    def test_a_mask_of_other_voxels_is_refused(self, copy_of):
        path = copy_of / f"derivatives/fmriprep/sub-01/func/{STEM}_space-{SPACE}_desc-brain_mask.nii.gz"
        nib.save(nib.load(path).slicer[1:], path)
        with pytest.raises(
            InputDataError, match=r"expected the voxels of the series, \(26, 31, 25\), found \(25, 31, 25\)"
        ):
            read(copy_of)

    @pytest.mark.parametrize("kind", ["link", "pointer"])
    def test_recorded_bold_whose_content_is_not_there_is_not_needed(self, copy_of, moving, kind):
        path = copy_of / f"sub-01/func/{STEM}_bold.nii.gz"
        path.unlink()
        if kind == "link":
            path.symlink_to("../../.git/annex/objects/gone.nii.gz")
        else:
            path.write_text("/annex/objects/MD5E-s1234--0123456789abcdef.nii.gz\n")
        np.testing.assert_array_equal(read(copy_of).table, read(moving).table)


class TestModelOfAnotherSpace:
    """What is read where a model is applied whose space nobody can give: it synthesizes, and is not scored."""

    MODEL = Grid(np.ones((9, 8, 7), bool), np.diag([10.0, 10.0, 10.0, 1.0]), 4, "MNI152NLin6Asym", "2")

    def test_preprocessed_bold_is_then_read_as_recorded(self, moving):
        settings = Settings(bold=BoldSettings(space="MNI152NLin6Asym:res-2", realign="never"))
        pipelines = find_pipelines(moving, {})
        [insisting] = plan_participant(moving, "01", settings, pipelines=pipelines)
        [planned] = plan_participant(moving, "01", settings, pipelines=pipelines, insist_on_space=False)
        assert "in the space MNI152NLin6Asym:res-2, found it in" in str(insisting.error)
        assert planned.error is None
        measured = prepare_bold(planned.recording, settings.bold, model_grid=self.MODEL)
        assert measured.done["space"] == "native"
        assert not measured.grid.same_as(self.MODEL)

    def test_other_voxels_of_the_same_space_are_brought_to_the_models(self, moving):
        model = replace(self.MODEL, space=SPACE, affine=np.diag([10.0, 10.0, 10.0, 1.0]))
        model.affine[:3, 3] = [-40, -60, -10]
        measured, _ = plan(moving)
        on_model = prepare_bold(measured.recording, BoldSettings(), model_grid=model)
        assert on_model.grid.same_as(model)
        # The mean image is the same one: each voxel has what is there in the series.
        theirs = prepare_bold(measured.recording, BoldSettings())
        where = (
            np.linalg.inv(theirs.grid.affine)
            @ np.column_stack([on_model.grid.coordinates_mm(), np.ones(on_model.grid.n_voxels)]).T
        )
        index = tuple(np.rint(where[:3]).astype(int))
        image = theirs.grid.array(theirs.table[3:].mean(0))
        assert np.corrcoef(image[index], on_model.table[3:].mean(0))[0, 1] > 0.8


class TestConfounds:
    def test_a_strategy_of_nilearn_selects_them(self, moving):
        measured = read(moving, confounds="simple")
        # 24 of motion, cerebrospinal fluid, white matter, and drifts.
        assert measured.confounds.shape == (100, 26 + 3)
        assert np.isfinite(measured.confounds).all()
        assert measured.confounds[measured.usable].std(0) == pytest.approx(1)
        assert read(moving).confounds is None

    def test_scrubbing_leaves_volumes_out(self, moving):
        measured = read(moving, confounds="scrubbing", preprocessed="never")
        assert measured.confounds.shape == (100, 24)
        moved = np.array(measured.done["motion"]["framewise_mm"]) > 0.5
        np.testing.assert_array_equal(measured.usable, ~moved & (np.arange(100) > 2))
        assert measured.done["n_left_out"] > 3

    def test_a_head_that_moves_all_the_time_leaves_too_little(self, copy_of):
        table = copy_of / f"derivatives/fmriprep/sub-01/func/{STEM}_desc-confounds_timeseries.tsv"
        values = pd.read_csv(table, sep="\t", na_values="n/a")
        values["framewise_displacement"] = 0.9
        values.to_csv(table, sep="\t", index=False, na_rep="n/a")
        with pytest.raises(InputDataError, match=r"expected (most volumes to be of use|fewer confounds)"):
            read(copy_of, confounds="scrubbing")

    def test_what_the_table_lacks_is_told(self, moving):
        with pytest.raises(
            InputDataError, match="expected what nilearn's strategy 'compcor' takes, found that it can't be read"
        ):
            read(moving, confounds="compcor")

    def test_a_table_of_other_length_is_refused(self, copy_of):
        table = copy_of / f"derivatives/fmriprep/sub-01/func/{STEM}_desc-confounds_timeseries.tsv"
        table.write_text("\n".join(table.read_text().splitlines()[:-2]) + "\n")
        with pytest.raises(InputDataError, match="expected 100 rows, one per volume, found 98"):
            read(copy_of)


class TestCleanedEeg:
    def test_what_the_app_wrote_is_read_in_place_of_the_recording(self, preferred, moving):
        planned, _ = plan(moving, named={"clean": preferred[1]})
        assert planned.recording.eeg == preferred[1] / f"sub-01/eeg/{STEM}_desc-preproc_eeg.vhdr"
        assert planned.error is None
        recorded, _ = plan(moving)
        # The file starts later than the recording, and its own markers say where the volumes are.
        sidecar = json.loads(planned.recording.eeg.with_suffix(".json").read_text())
        shift_s = recorded.alignment.onsets_s - planned.alignment.onsets_s
        assert shift_s == pytest.approx(sidecar["StartInSource"], abs=0.005)

    def test_it_is_told_where_the_eeg_came_from(self, preferred, moving, tmp_path):
        planned, _ = plan(moving, named={"clean": preferred[1]})
        links = {"clean": preferred[1], "fmriprep": moving / "derivatives/fmriprep"}
        derivatives = Derivatives(tmp_path / "out", moving, links)
        account = Account(Task(moving, derivatives, Settings()), "01", [planned.recording], [], {}, 2.0)
        [entry] = account.entries.values()
        assert entry["eeg"] == f"clean:sub-01/eeg/{STEM}_desc-preproc_eeg.vhdr"
        assert entry["bold"] == f"sub-01/func/{STEM}_bold.nii.gz"
        assert derivatives.sources(planned.recording)[0] == f"bids:clean:sub-01/eeg/{STEM}_desc-preproc_eeg.vhdr"

    def test_its_spectrum_is_that_of_the_recording(self, preferred, moving):
        sampling = Sampling.by_settings(Settings())
        cleaned, recorded = (
            prepare(plan(moving, named=named)[0], sampling, Settings()).spectrum
            for named in ({"clean": preferred[1]}, {})
        )
        n = min(len(cleaned.ends_s), len(recorded.ends_s))
        assert n > 190
        # Frames end at the same volumes, on the clock of either file.
        apart_db = cleaned.power[-n:] - recorded.power[-n:]
        assert np.abs(apart_db[:-10]).mean() < 0.3

    def test_markers_of_the_recording_serve_where_it_has_none(self, moving, tmp_path):
        import mne
        import pybv

        raw = mne.io.read_raw_brainvision(moving / f"sub-01/eeg/{STEM}_eeg.vhdr", verbose="error")
        folder = tmp_path / "ica/sub-01/eeg"
        folder.mkdir(parents=True)
        pybv.write_brainvision(
            data=raw.get_data(), sfreq=raw.info["sfreq"], ch_names=raw.ch_names, fname_base=f"{STEM}_desc-ica_eeg",
            folder_out=str(folder),
        )  # fmt: skip
        planned, _ = plan(moving, named={"ica": tmp_path / "ica"})
        assert planned.recording.eeg.parent == folder
        assert "100 volumes found, 100 stored" in planned.alignment.evidence

    def test_eeg_that_the_dataset_does_not_hold_is_paired_all_the_same(self, copy_of, preferred):
        shutil.rmtree(copy_of / "sub-01/eeg")
        planned, _ = plan(copy_of, named={"clean": preferred[1]})
        assert planned.recording.paired
        assert planned.error is None

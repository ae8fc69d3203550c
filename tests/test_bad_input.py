"""Bad input gets one line that says what, where and what to do, the right exit code, and leaves nothing half-written."""

import gzip
import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

EEG = "eeg/sub-01_task-rest_eeg"
BOLD = "func/sub-01_task-rest_bold"


@pytest.fixture
def refused(app, tmp_path, settings_file):
    """Run the participant level on a broken dataset, check what every refusal has in common, and give its line."""

    def check(dataset, code, *options, output=None):
        output = output or tmp_path / "derivatives"
        result = app(dataset, output, "participant", "--config-file", settings_file, *options)
        lines = [line for line in result.lines if line]
        assert result.code == code, result.err
        assert result.out == ""
        assert "Traceback" not in result.err
        assert "software error" not in result.err
        # One line tells the error. With participants at work, another one tells who was tried.
        assert len(lines) == 1 or (len(lines) == 2 and lines[0].startswith("1/1 sub-01: ")), result.err
        if output.is_dir():
            assert not list(output.rglob(".part_*"))
            assert not list(output.rglob("*_summary.json"))
            assert not list(output.glob("*.html"))
            assert not list(output.rglob("*_desc-synth_*"))
        return lines[-1]

    return check


def the(dataset: Path, name: str) -> Path:
    return dataset / "sub-01" / name


def edit_json(path: Path, **changes) -> None:
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def edit_bold(dataset: Path, change) -> None:
    path = the(dataset, f"{BOLD}.nii.gz")
    image = nib.load(path)
    data = np.asarray(image.dataobj, dtype=np.float32)
    nib.Nifti1Image(change(data), image.affine).to_filename(path)


# ------------------------------------------------------------------------------------------------------ missing modalities


def test_without_eeg_there_is_nothing_to_synthesize_from(copy, refused):
    dataset = copy()
    shutil.rmtree(the(dataset, "eeg"))
    line = refused(dataset, 66)
    assert "sub-01: expected EEG (eeg/*_eeg.vhdr, .edf, .bdf, .set), found BOLD only" in line


def test_without_any_bold_a_model_is_asked_for(copy, refused):
    dataset = copy()
    shutil.rmtree(the(dataset, "func"))
    line = refused(dataset, 66)
    assert f"{dataset}: expected BOLD (func/*_bold.nii.gz) to learn from, found none; apply a saved model" in line


def test_eeg_and_bold_that_do_not_belong_together_are_named(copy, refused):
    dataset = copy()
    for path in list(the(dataset, "eeg").glob("*_task-rest_*")):
        path.rename(path.with_name(path.name.replace("task-rest", "task-sleep")))
    line = refused(dataset, 66)
    assert "expected EEG and BOLD that were recorded together" in line
    assert "found sub-01_task-sleep_eeg.vhdr (not simultaneous: there is BOLD, but of another task)" in line
    assert "and sub-01_task-rest_bold.nii.gz (not simultaneous: there is EEG, but of another task)" in line
    assert "map them in [[pairs]] of --config-file if they were, or apply a model with --model" in line


def test_a_participant_with_other_files_alone_is_told_what_is_looked_for(copy, refused):
    dataset = copy(["01", "02"])
    for folder in ("eeg", "func"):
        shutil.rmtree(the(dataset, folder))
    the(dataset, "anat").mkdir()
    line = refused(dataset, 66, "--participant-label", "01")
    assert "expected EEG (eeg/*_eeg.vhdr, .edf, .bdf, .set) and BOLD (func/*_bold.nii.gz), found neither" in line


# -------------------------------------------------------------------------------------------------------------------- BOLD


@pytest.mark.parametrize("compressed", [True, False])
def test_a_truncated_image_is_named(compressed, copy, refused):
    dataset = copy()
    path = the(dataset, f"{BOLD}.nii.gz")
    if not compressed:
        plain = path.with_suffix("")
        plain.write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
        path = plain
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    line = refused(dataset, 65)
    assert f"{path}: expected a whole NIfTI file, found it unreadable" in line
    assert "copy it anew" in line


def test_an_empty_image_is_named(copy, refused):
    dataset = copy()
    the(dataset, f"{BOLD}.nii.gz").write_bytes(b"")
    assert f"{BOLD}.nii.gz: expected a whole NIfTI file, found it unreadable" in refused(dataset, 65)


def test_a_broken_link_asks_for_datalad_get(copy, refused):
    dataset = copy()
    path = the(dataset, f"{BOLD}.nii.gz")
    path.unlink()
    path.symlink_to("../.git/annex/objects/missing")
    line = refused(dataset, 66)
    assert "found a broken link; run datalad get" in line


@pytest.mark.parametrize("n_dimensions", [3, 4])
def test_a_single_volume_is_no_series(n_dimensions, copy, refused):
    dataset = copy()
    edit_bold(dataset, lambda data: data[..., 0] if n_dimensions == 3 else data[..., :1])
    line = refused(dataset, 65)
    found = {3: "3-D", 4: "1 volume"}[n_dimensions]
    assert f"{BOLD}.nii.gz: expected a series of volumes (4-D), found {found}" in line


def test_an_image_of_nan_is_no_image(copy, refused):
    dataset = copy()
    edit_bold(dataset, lambda data: np.full_like(data, np.nan))
    assert f"{BOLD}.nii.gz: expected an image, found nothing but NaN or one constant" in refused(dataset, 65)


def test_an_image_without_a_brain_is_named(copy, refused):
    dataset = copy()

    def lonely(data):
        data = np.zeros_like(data)
        data[5, 6, 4] = 700
        return data

    edit_bold(dataset, lonely)
    line = refused(dataset, 65)
    assert f"{BOLD}.nii.gz: expected a brain in the mean BOLD image" in line


def test_sidecar_and_header_have_to_agree_on_the_repetition_time(copy, refused):
    dataset = copy()
    edit_json(the(dataset, f"{BOLD}.json"), RepetitionTime=2.5)
    line = refused(dataset, 65)
    assert f"{BOLD}.nii.gz: expected one repetition time, found 2.5 s in the sidecar and 2 s in the header" in line


def test_a_header_that_differs_from_the_sidecar_is_named(copy, refused):
    dataset = copy()
    path = the(dataset, f"{BOLD}.nii.gz")
    image = nib.load(path)
    image = nib.Nifti1Image(np.asarray(image.dataobj), image.affine, image.header)
    image.header["pixdim"][4] = 3.0
    image.to_filename(path)
    assert "found 2 s in the sidecar and 3 s in the header; correct the wrong one" in refused(dataset, 65)


@pytest.mark.parametrize("stated", [2000, "2 s", 0, -2])
def test_a_repetition_time_that_is_none_is_named(stated, copy, refused):
    dataset = copy()
    edit_json(the(dataset, f"{BOLD}.json"), RepetitionTime=stated)
    assert f"expected RepetitionTime in s in its sidecar, found {stated!r}; correct it" in refused(dataset, 65)


def test_a_repetition_time_that_no_marker_has_is_named_with_the_markers_that_are_there(copy, refused):
    dataset = copy()
    path = the(dataset, f"{BOLD}.nii.gz")
    image = nib.load(path)
    image = nib.Nifti1Image(np.asarray(image.dataobj), image.affine, image.header)
    image.header["pixdim"][4] = 3.0
    image.to_filename(path)
    edit_json(the(dataset, f"{BOLD}.json"), RepetitionTime=3.0)
    line = refused(dataset, 65)
    assert f"{EEG}.vhdr: expected 100 volume markers 3 s apart, found 100 x 'Response/R128' every 2 s" in line
    assert "check RepetitionTime" in line


def test_volumes_that_are_missing_are_noticed(copy, refused):
    dataset = copy()
    edit_bold(dataset, lambda data: data[..., :70])
    edit_json(the(dataset, f"{BOLD}.json"), RepetitionTime=2.0)
    line = refused(dataset, 65)
    assert "expected 70 volume markers 2 s apart, found 100 x 'Response/R128'" in line
    assert "NumberOfVolumesDiscardedByScanner" in line


# --------------------------------------------------------------------------------------------------------------------- EEG


def test_a_header_without_its_data_file_is_named(copy, refused):
    dataset = copy()
    the(dataset, f"{EEG}.eeg").unlink()
    line = refused(dataset, 66)
    assert f"{EEG}.vhdr: expected its data file sub-01_task-rest_eeg.eeg beside it, found none" in line


def test_a_header_without_its_marker_file_is_named(copy, refused):
    dataset = copy()
    the(dataset, f"{EEG}.vmrk").unlink()
    line = refused(dataset, 66)
    assert f"{EEG}.vhdr: expected its marker file sub-01_task-rest_eeg.vmrk beside it, found none" in line


@pytest.mark.parametrize("told_by", ["size", "sidecar", "markers"])
def test_eeg_that_was_cut_short_is_named(told_by, copy, refused):
    dataset = copy()
    path = the(dataset, f"{EEG}.eeg")
    half = path.stat().st_size // 2 // 24 * 24  # 12 channels of 16 bits
    path.write_bytes(path.read_bytes()[: half + 7 if told_by == "size" else half])
    if told_by == "markers":
        edit_json(the(dataset, f"{EEG}.json"), RecordingDuration=None)
        header = the(dataset, f"{EEG}.vhdr")
        lines = [line for line in header.read_text().splitlines() if not line.startswith("DataPoints")]
        header.write_text("\n".join(lines) + "\n")
    line = refused(dataset, 65)
    assert "sub-01_task-rest_eeg." in line
    assert "file is cut short" in line


@pytest.mark.parametrize("value", [np.nan, 0.0])
def test_a_channel_without_a_signal_is_named_where_bad_ones_are_not_to_be_replaced(
    value, copy, refused, tmp_path, rewrite_eeg
):
    dataset = copy()

    def change(data, names):
        data[names.index("C3"), 1000 if np.isnan(value) else slice(None)] = value

    rewrite_eeg(dataset, change)
    (tmp_path / "as_it_is.toml").write_text('[bad_channels]\ncorrect = "never"\n')
    line = refused(dataset, 65, "--config-file", tmp_path / "as_it_is.toml")
    found = "found NaN in C3" if np.isnan(value) else "found constant channels C3"
    assert f"{EEG}.vhdr: expected" in line
    assert found in line
    assert "mark them as bad in the status column of channels.tsv" in line


def test_no_eeg_channel_left_is_told(copy, refused):
    dataset = copy()
    path = the(dataset, "eeg/sub-01_task-rest_channels.tsv")
    path.write_text(path.read_text().replace("good", "bad"))
    assert f"{EEG}.vhdr: expected EEG channels, found that all are marked as bad" in refused(dataset, 65)


def test_eeg_without_markers_can_not_be_aligned(copy, refused):
    dataset = copy()
    path = the(dataset, f"{EEG}.vmrk")
    path.write_text("\n".join(line for line in path.read_text().splitlines() if "R128" not in line) + "\n")
    line = refused(dataset, 65)
    assert f"{EEG}.vhdr: expected 100 volume markers 2 s apart, found no marker at all" in line
    assert "check RepetitionTime and that the markers were exported" in line


# ----------------------------------------------------------------------------------------------------- dataset and output


def test_a_folder_that_does_not_exist_is_named(tmp_path, refused):
    line = refused(tmp_path / "nowhere", 66)
    assert f"{tmp_path / 'nowhere'}: expected the folder of a BIDS dataset, found none" in line


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (None, "found no such file"),
        ("{", "expected JSON"),
        ('{"Name": "x"}', "expected BIDSVersion, found none"),
        ("[]", "expected Name and BIDSVersion, found none"),
    ],
)
def test_a_dataset_has_to_describe_itself(content, found, copy, refused):
    dataset = copy()
    path = dataset / "dataset_description.json"
    path.unlink()
    if content is not None:
        path.write_text(content)
    line = refused(dataset, 16)
    assert str(path) in line
    assert found in line
    assert "--skip-bids-validation" in line


def test_the_description_can_be_skipped(copy, app, tmp_path):
    dataset = copy()
    (dataset / "dataset_description.json").unlink()
    result = app(dataset, tmp_path / "out", "participant", "--skip-bids-validation", "--dry-run")
    assert result.code == 0, result.err
    assert "sub-01_task-rest\tpaired" in result.out


def test_an_empty_dataset_is_named(copy, refused):
    dataset = copy([])
    assert f"{dataset}: expected folders named sub-<label>, found none" in refused(dataset, 18)


def test_an_output_that_is_a_file_is_refused(copy, refused, tmp_path):
    path = tmp_path / "taken"
    path.write_text("mine")
    line = refused(copy(), 73, output=path)
    assert f"{path}: expected a folder to write to, found" in line
    assert path.read_text() == "mine"


def test_an_output_below_a_file_is_refused(copy, refused, tmp_path):
    (tmp_path / "taken").write_text("mine")
    line = refused(copy(), 73, output=tmp_path / "taken" / "derivatives")
    assert "derivatives: expected a folder to write to, found Not a directory; choose another" in line


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that nobody can write to")
def test_an_output_that_nobody_can_write_to_is_refused(copy, refused):
    assert "/proc/derivatives: expected a folder to write to, found" in refused(
        copy(), 73, output=Path("/proc/derivatives")
    )


@pytest.mark.parametrize("inside", ["", "results", "sub-01/results", "sub-01/../results"])
def test_the_input_is_never_written_to(inside, copy, refused):
    dataset = copy()
    before = sorted(dataset.rglob("*"))
    line = refused(dataset, 73, output=dataset / inside)
    assert "the output lies inside the input, which is never written to; choose another folder" in line
    assert sorted(dataset.rglob("*")) == before


def test_a_work_directory_inside_the_input_is_refused(copy, app, tmp_path):
    dataset = copy()
    result = app(dataset, tmp_path / "out", "participant", "--work-dir", dataset / "work")
    assert result.code == 64
    assert "lies inside the dataset, which is never written to; choose another one" in result.last_line
    assert not (dataset / "work").exists()


def test_an_output_that_is_a_link_into_the_input_is_refused(copy, refused, tmp_path):
    dataset = copy()
    (tmp_path / "link").symlink_to(dataset / "sub-01")
    assert "inside the input" in refused(dataset, 73, output=tmp_path / "link")


# ------------------------------------------------------------------------------------------------------------------ labels


def test_an_unknown_participant_gets_the_list_of_those_that_exist(dataset, refused):
    line = refused(dataset, 18, "--participant-label", "sub-01", "07")
    assert f"--participant-label 07: no such participant in {dataset}; there are 01, 02, 03, 04" in line


@pytest.mark.parametrize(
    ("entity", "exists"), [("session", "session: none"), ("task", "task: rest"), ("run", "run: none")]
)
def test_an_unknown_label_gets_the_list_of_those_that_exist(entity, exists, copy, refused):
    line = refused(copy(), 18, f"--{entity}-label", "9")
    assert f"sub-01: expected recordings with {entity} 9, found none; there is {exists}" in line


def test_a_file_of_labels_that_is_missing_is_named(dataset, refused, tmp_path):
    line = refused(dataset, 66, "--participant-label", tmp_path / "labels.txt")
    assert f"{tmp_path / 'labels.txt'}: expected a label or a file with one label per line, found no such file" in line


# -------------------------------------------------------------------------------------------------- one among several


def test_one_broken_participant_leaves_the_other_complete(copy, app, tmp_path, settings_file):
    dataset = copy(["01", "02"])
    path = dataset / "sub-02/func/sub-02_task-rest_bold.nii.gz"
    path.write_bytes(path.read_bytes()[:5000])
    output, hasty = tmp_path / "derivatives", tmp_path / "hasty.toml"
    hasty.write_text(settings_file.read_text().replace("max_epochs = 8", "max_epochs = 1"))
    result = app(dataset, output, "participant", "--config-file", hasty)
    assert result.code == 1
    assert result.last_line.startswith(f"sub-02 failed: {path}: expected a whole NIfTI file, found it unreadable")
    assert result.out == f"{output / 'sub-01.html'}\n"
    assert (output / "sub-01/func/sub-01_task-rest_desc-synth_bold.nii.gz").is_file()
    assert (output / "sub-01/sub-01_summary.json").is_file()
    assert not (output / "sub-02").exists()
    assert not (output / "sub-02.html").exists()
    assert not list(output.rglob(".part_*"))

    # A group level of what is there does not pretend that everybody is.
    assert [line.split("\t")[0] for line in (output / "participants.tsv").read_text().splitlines()[1:]] == ["sub-01"]


def test_when_all_fail_for_one_reason_the_exit_code_is_that_reason(copy, app, tmp_path):
    dataset = copy(["01", "02"])
    for path in dataset.glob("sub-*/func/*.nii.gz"):
        path.write_bytes(path.read_bytes()[:5000])
    result = app(dataset, tmp_path / "derivatives", "participant")
    assert result.code == 65
    assert [line.split(":")[0] for line in result.lines[-2:]] == ["sub-01 failed", "sub-02 failed"]


def test_when_all_fail_for_different_reasons_the_exit_code_is_1(copy, app, tmp_path):
    dataset = copy(["01", "02"])
    path = dataset / "sub-01/func/sub-01_task-rest_bold.nii.gz"
    path.write_bytes(path.read_bytes()[:5000])
    (dataset / "sub-02/eeg/sub-02_task-rest_eeg.eeg").unlink()
    assert app(dataset, tmp_path / "derivatives", "participant").code == 1


def test_the_first_failure_can_stop_the_run(copy, app, tmp_path):
    dataset = copy(["01", "02"])
    for path in dataset.glob("sub-*/func/*.nii.gz"):
        path.write_bytes(path.read_bytes()[:5000])
    result = app(dataset, tmp_path / "derivatives", "participant", "--stop-on-first-crash")
    assert result.code == 65
    assert "sub-01 failed" in result.err
    assert "sub-02" not in result.err


def test_a_failure_does_not_leave_an_earlier_conclusion_standing(copy, app, tmp_path, participant_run):
    dataset = copy()
    output = tmp_path / "derivatives"
    shutil.copytree(participant_run.output, output)
    path = the(dataset, f"{BOLD}.nii.gz")
    path.write_bytes(path.read_bytes()[:5000])
    assert app(dataset, output, "participant").code == 65
    assert not (output / "sub-01/sub-01_summary.json").exists()
    assert not (output / "sub-01.html").exists()
    assert (output / "sub-02/sub-02_summary.json").exists()


def test_the_traceback_is_there_for_who_asks_twice(copy, app, tmp_path):
    dataset = copy()
    the(dataset, f"{EEG}.eeg").unlink()
    once = app(dataset, tmp_path / "derivatives", "participant", "-v")
    twice = app(dataset, tmp_path / "derivatives", "participant", "-v", "-v")
    assert "Traceback" not in once.err
    assert "Traceback" in twice.err
    assert once.code == twice.code == 66

"""What is written keeps the contract of a BIDS derivative dataset: the validator's part, and the part it does not see."""

import json
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import mne
import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from bids_eeg2fmri.bids.derivatives import Derivatives
from bids_eeg2fmri.eeg.downsampling import Signals
from bids_eeg2fmri.eeg.spectrum import compute_spectrum

SUBJECTS = ("01", "02", "03")


def stem(subject):
    return f"sub-{subject}/func/sub-{subject}_task-rest"


def load(path):
    return np.asarray(nib.load(path).dataobj)


def sidecar(image: Path) -> dict:
    return json.loads(Path(str(image).removesuffix(".nii.gz") + ".json").read_text())


def errors_of(dataset: Path) -> list[str]:
    """Ask the BIDS validator."""
    validator = shutil.which("bids-validator-deno", path=Path(sys.executable).parent)
    if validator is None:
        pytest.skip("bids-validator-deno is not installed")
    command = [validator, "--json", "--ignoreWarnings", str(dataset)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    issues = json.loads(done.stdout)["issues"]["issues"]
    return [f"{i['code']} {i.get('subCode', '')} {i.get('location', '')}" for i in issues if i["severity"] == "error"]


# ---------------------------------------------------------------------------------------------------------- the run itself


def test_the_participant_level_says_what_became_of_whom(participant_run):
    result = participant_run.result
    assert result.code == 0, result.err
    assert result.out.splitlines() == [str(participant_run.output / f"sub-{s}.html") for s in (*SUBJECTS, "04")]
    lines = result.err.splitlines()
    assert [line.split(":")[0] for line in lines] == [f"{i}/4 sub-0{i}" for i in (1, 2, 3, 4)]
    assert "EEG only, prepared for the group level" in lines[3]


def test_the_group_level_says_where_its_report_is(group_run):
    assert group_run.result.code == 0, group_run.result.err
    assert group_run.result.out == f"{group_run.output / 'group.html'}\n"
    assert len(group_run.result.err.splitlines()) == 1


def test_the_input_is_the_same_to_the_last_byte(participant_run, group_run, hash_files):
    assert hash_files(participant_run.dataset) == participant_run.input_before


def test_nothing_half_written_is_left(group_run):
    assert not list(group_run.output.rglob(".part_*"))
    assert not list((group_run.output / "models").glob(".*"))


# --------------------------------------------------------------------------------------------------------- the validator


def test_the_simulated_dataset_is_valid(dataset):
    assert errors_of(dataset) == []


@pytest.mark.parametrize("level", ["participant", "group"])
def test_the_derivative_dataset_is_valid_after_each_level(level, participant_run, group_run):
    assert errors_of({"participant": participant_run, "group": group_run}[level].output) == []


def test_the_validator_would_notice(participant_run, tmp_path):
    broken = tmp_path / "derivatives"
    shutil.copytree(participant_run.output, broken)
    path = broken / f"{stem('01')}_desc-synth_bold.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"RepetitionTime": 3.0}))
    assert errors_of(broken)


# ------------------------------------------------------------------------------------------------ what it does not look at


def test_the_dataset_says_what_generated_it_from_what(participant_run):
    description = json.loads((participant_run.output / "dataset_description.json").read_text())
    assert description["DatasetType"] == "derivative"
    assert description["GeneratedBy"][0]["Name"] == "bids_eeg2fmri"
    assert description["GeneratedBy"][0]["Version"]
    raw = participant_run.output / description["DatasetLinks"]["raw"]
    assert raw.resolve() == participant_run.dataset.resolve()


def test_sources_are_uris_of_files_that_exist(group_run):
    output = group_run.output
    raw = output / json.loads((output / "dataset_description.json").read_text())["DatasetLinks"]["raw"]
    sidecars = [json.loads(path.read_text()) for path in output.glob("sub-*/func/*.json")]
    sources = [source for s in sidecars for source in s.get("Sources", [])]
    assert len(sources) >= 4 * len(SUBJECTS)
    for source in sources:
        assert source.startswith("bids:raw:sub-")
        assert (raw / source.removeprefix("bids:raw:")).is_file()


def test_no_file_has_a_name_that_a_raw_dataset_could_have(group_run):
    patterns = (group_run.output / ".bidsignore").read_text().split()
    files = [path for path in group_run.output.rglob("sub-*") if path.is_file()]
    assert len(files) > 20
    for path in files:
        ignored = any(fnmatch(path.name, pattern) for pattern in patterns)
        assert "_desc-" in path.name or ignored, path


@pytest.mark.parametrize("subject", ["01", "04"])
def test_the_cleaned_eeg_is_what_spectra_were_computed_from(subject, participant_run):
    folder = participant_run.output / f"sub-{subject}" / "eeg"
    raw = mne.io.read_raw_brainvision(folder / f"sub-{subject}_task-rest_desc-preproc_eeg.vhdr", verbose="error")
    content = json.loads((folder / f"sub-{subject}_task-rest_desc-preproc_eeg.json").read_text())
    channels = pd.read_csv(folder / f"sub-{subject}_task-rest_desc-preproc_channels.tsv", sep="\t")
    assert channels.name.tolist() == raw.ch_names
    assert content["SamplingFrequency"] == raw.info["sfreq"] == 250
    assert content["Sources"] == [f"bids:raw:sub-{subject}/eeg/sub-{subject}_task-rest_eeg.vhdr"]
    assert content["Subtracted"] == []
    assert content["SoftwareFilters"] == {"Low-pass before downsampling": {"half-amplitude frequency (Hz)": 125.0}}
    assert content["Interpolated"] == {}
    signals = Signals(raw.get_data().astype(np.float32), 250.0, tuple(raw.ch_names), content["StartInSource"])
    with np.load(folder / f"sub-{subject}_task-rest_desc-samples_timeseries.npz") as samples:
        spectrum = compute_spectrum(signals, samples["ends_s"], width_s=2.0, freqs_hz=samples["freqs_hz"])
        np.testing.assert_allclose(spectrum.power, samples["power"], atol=1e-3)
        onsets_s = samples["onsets_s"]
    markers_s = raw.annotations.onset[raw.annotations.description == "Response/R128"]
    events = folder / f"sub-{subject}_task-rest_desc-preproc_events.tsv"
    if subject == "04":  # EEG alone
        assert not len(markers_s)
        assert not events.exists()
        return
    np.testing.assert_allclose(markers_s + content["StartInSource"], onsets_s, atol=0.003)
    np.testing.assert_allclose(pd.read_csv(events, sep="\t").onset, onsets_s - content["StartInSource"], atol=1e-4)


@pytest.mark.parametrize("subject", SUBJECTS)
def test_the_sidecar_says_what_the_series_is(subject, participant_run):
    path = participant_run.output / f"{stem(subject)}_desc-synth_bold.nii.gz"
    content = sidecar(path)
    assert "synthesized from EEG" in content["Description"]
    assert "not a measurement" in content["Description"]
    assert content["TaskName"] == "rest"
    assert content["SkullStripped"] is True
    assert content["RepetitionTime"] == pytest.approx(float(nib.load(path).header.get_zooms()[3]))
    assert content["Model"]["Architecture"] == "smooth"
    assert len(content["SettingsHash"]) == 8
    assert content["Settings"]["training"]["max_epochs"] == 8
    assert set(content["Scores"]) == {"PooledR", "Skill"}


@pytest.mark.parametrize("subject", SUBJECTS)
def test_the_series_lies_on_the_grid_and_clock_of_its_source(subject, participant_run):
    source = nib.load(participant_run.dataset / f"{stem(subject)}_bold.nii.gz")
    series = nib.load(participant_run.output / f"{stem(subject)}_desc-synth_bold.nii.gz")
    assert series.shape == source.shape == (12, 14, 11, 100)
    np.testing.assert_allclose(series.affine, source.affine, atol=1e-5)
    assert series.header.get_zooms() == pytest.approx(source.header.get_zooms())
    assert series.header.get_xyzt_units() == ("mm", "sec")


@pytest.mark.parametrize("subject", SUBJECTS)
def test_outside_the_mask_there_is_nothing_and_inside_what_looks_like_the_source(subject, participant_run):
    source = load(participant_run.dataset / f"{stem(subject)}_bold.nii.gz")
    series = load(participant_run.output / f"{stem(subject)}_desc-synth_bold.nii.gz")
    mask = load(participant_run.output / f"{stem(subject)}_desc-brain_mask.nii.gz")
    assert set(np.unique(mask)) == {0, 1}
    assert mask.sum() > 200
    assert not series[mask == 0].any()
    assert np.isfinite(series).all()
    ratio = series.mean(-1)[mask > 0] / source.mean(-1)[mask > 0]
    np.testing.assert_allclose(ratio, 1, atol=0.03)
    r_map = load(participant_run.output / f"{stem(subject)}_desc-synth_statmap.nii.gz")
    assert r_map.shape == mask.shape
    assert not r_map[mask == 0].any()
    assert np.abs(r_map).max() <= 1


@pytest.mark.parametrize("subject", SUBJECTS)
def test_flagged_volumes_hold_the_mean_image_and_the_others_change(subject, participant_run):
    series = load(participant_run.output / f"{stem(subject)}_desc-synth_bold.nii.gz")
    source = load(participant_run.dataset / f"{stem(subject)}_bold.nii.gz")
    mask = load(participant_run.output / f"{stem(subject)}_desc-brain_mask.nii.gz") > 0
    table = pd.read_csv(participant_run.output / f"{stem(subject)}_desc-synth_timeseries.tsv", sep="\t")
    assert table.volume.tolist() == list(range(100))
    np.testing.assert_allclose(table.onset, 14.3 + 2 * np.arange(100), atol=0.01)
    assert table.fold.tolist() == [v // 20 for v in range(100)]
    # 18 s of lags and a frame of 2 s: the EEG began 14.3 s before the first volume.
    assert table.synthesized.tolist() == [v >= 3 for v in range(100)]
    flagged = series[mask][:, ~table.synthesized]
    # All of them are of one fold, whose training volumes begin 10 volumes after its end.
    template = source[mask][:, 30:].mean(1)
    step = nib.load(participant_run.output / f"{stem(subject)}_desc-synth_bold.nii.gz").dataobj.slope
    assert np.abs(flagged - template[:, None]).max() <= 1.01 * step
    changing = series[mask][:, table.synthesized]
    assert changing.std(1).max() > 5 * step


def test_scores_tell_the_model_beside_the_baselines(participant_run):
    for subject in SUBJECTS:
        table = pd.read_csv(participant_run.output / f"sub-{subject}/sub-{subject}_scores.tsv", sep="\t")
        assert table.model.tolist() == [
            "smooth", "lagged band-power ridge", "time only", "nuisance only", "global signal", "mean image"
        ]  # fmt: skip
        assert table.kind.tolist() == ["model", "linear", "baseline", "baseline", "reference", "baseline"]
        assert table.looks_at_eeg.tolist() == [True, True, False, False, False, False]
        numbers = table.drop(columns=["model", "kind"]).astype(float)
        unknown = numbers.columns[numbers.isna().any()].tolist()
        # Only what looks at the EEG is tested, the first row gains nothing over itself, and a constant image has no
        # connectivity.
        assert sorted(unknown) == ["connectivity_r", "gain", "gain_high", "gain_low", "share_significant"]
        assert numbers.share_significant.notna().tolist() == [True, True, False, False, False, False]
        assert numbers.gain.notna().tolist() == [False, True, True, True, True, True]
        assert table.voxel_r_median.between(-1, 1).all()
        assert (table.pooled_skill <= 1).all()


@pytest.mark.parametrize("subject", SUBJECTS)
def test_the_measurement_lies_where_it_was_expected_as_often_as_was_said(subject, participant_run):
    summary = json.loads((participant_run.output / f"sub-{subject}" / f"sub-{subject}_summary.json").read_text())
    told = summary["uncertainty"]
    assert [row["wanted"] for row in told["coverage"]] == [0.5, 0.9]
    for row in told["coverage"]:
        assert row["found"] == pytest.approx(row["wanted"], abs=0.05)
    path = participant_run.output / f"{stem(subject)}_desc-error_statmap.nii.gz"
    error, mask = load(path), load(participant_run.output / f"{stem(subject)}_desc-brain_mask.nii.gz") > 0
    assert sidecar(path)["Units"] == "percent signal change"
    assert (error[mask] > 0).all()
    assert np.median(error[mask]) == pytest.approx(told["error_median"], rel=0.1)
    assert not error[~mask].any()


def test_regions_are_told_with_both_courses(participant_run):
    table = pd.read_csv(participant_run.output / f"{stem('02')}_desc-regions_timeseries.tsv", sep="\t")
    assert len(table) == 100
    measured = [c.removesuffix("_measured") for c in table if c.endswith("_measured")]
    assert measured == [c.removesuffix("_synthesized") for c in table if c.endswith("_synthesized")]
    assert table[f"{measured[0]}_measured"].isna().sum() == 3


def test_every_participant_is_in_the_table_with_covariates(participant_run):
    columns = ["participant_id", "age", "sex", "group"]
    written = pd.read_csv(participant_run.output / "participants.tsv", sep="\t")[columns]
    source = pd.read_csv(participant_run.dataset / "participants.tsv", sep="\t")[columns]
    pd.testing.assert_frame_equal(written, source)


def test_json_files_are_json(group_run):
    def refuse(constant):
        raise ValueError(f"{constant} is no JSON")

    for path in group_run.output.rglob("*.json"):
        json.loads(path.read_text(), parse_constant=refuse)


def test_samples_need_no_pickle(participant_run):
    files = list(participant_run.output.glob("sub-*/eeg/*.npz"))
    assert len(files) == 4
    for path in files:
        with np.load(path, allow_pickle=False) as arrays:
            assert all(arrays[name].dtype != object for name in arrays.files)
            assert ("change" in arrays) == ("sub-04" not in path.name)


def test_reports_are_whole_and_need_nothing_else(group_run):
    for name in ("sub-01", "sub-04", "group"):
        html = (group_run.output / f"{name}.html").read_text()
        assert html.lstrip().lower().startswith("<!doctype html>")
        assert html.rstrip().endswith("</html>")
        assert 'src="http' not in html
        assert 'href="http' not in html


def test_the_summary_says_how_to_repeat_the_run(participant_run):
    summary = json.loads((participant_run.output / "sub-01/sub-01_summary.json").read_text())
    provenance = summary["provenance"]
    assert provenance["command"].startswith("bids_eeg2fmri ")
    assert provenance["random_seed"] == 0
    assert {"keras", "tensorflow", "numpy", "mne", "bids_eeg2fmri"} <= set(provenance["versions"])


# ---------------------------------------------------------------------------------------------------------- the group level


def test_the_group_reads_derivatives_only(participant_run, app, settings_file, tmp_path):
    """With the raw data gone, results are the same."""
    dataset, output = tmp_path / "dataset", tmp_path / "derivatives"
    dataset.mkdir()
    shutil.copy(participant_run.dataset / "dataset_description.json", dataset)
    shutil.copytree(participant_run.output, output)
    result = app(dataset, output, "group", "--config-file", settings_file, "--participant-label", "01", "sub-02")
    assert result.code == 0, result.err
    summary = json.loads((output / "group_summary.json").read_text())
    assert [p["participant_id"] for p in summary["participants"]] == ["sub-01", "sub-02"]
    assert "expected at least 3 participants to transfer between, found 2" in summary["transfer"]["reason"]


def test_the_group_lists_participants_scores_and_what_is_missing(group_run):
    summary = json.loads((group_run.output / "group_summary.json").read_text())
    assert [p["participant_id"] for p in summary["participants"]] == [f"sub-0{i}" for i in (1, 2, 3, 4)]
    assert summary["missing"] == []
    transfer = summary["transfer"]
    assert transfer["n"] == 3
    assert transfer["mean_r_low"] <= transfer["mean_r"] <= transfer["mean_r_high"]
    assert 0 < transfer["p"] <= 1
    assert "at least 5 participants of each group are needed" in summary["classification"]["reason"]


def test_a_participant_without_a_summary_is_listed_as_missing(participant_run, app, settings_file, tmp_path):
    output = tmp_path / "derivatives"
    shutil.copytree(participant_run.output, output)
    (output / "sub-02/sub-02_summary.json").unlink()
    Derivatives(output, participant_run.dataset).write_failure("09", "sub-09_eeg.vhdr: expected a file, found none")
    result = app(participant_run.dataset, output, "group", "--config-file", settings_file)
    assert result.code == 0, result.err
    missing = json.loads((output / "group_summary.json").read_text())["missing"]
    assert [m["name"] for m in missing] == ["sub-02", "sub-09"]
    assert "has files but no summary" in missing[0]["reason"]
    assert missing[1]["reason"] == "sub-09_eeg.vhdr: expected a file, found none"


def test_a_group_without_any_bold_gets_its_table(participant_run, app, settings_file, tmp_path):
    output = tmp_path / "derivatives"
    shutil.copytree(participant_run.output, output)
    options = ("--config-file", settings_file, "--participant-label", "04")
    result = app(participant_run.dataset, output, "group", *options)
    assert result.code == 0, result.err
    summary = json.loads((output / "group_summary.json").read_text())
    assert "expected at least 3 participants to transfer between, found 0" in summary["transfer"]["reason"]
    assert summary["verdict"]["headline"] == "No verdict: nobody was scored"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--participant-label", "09"), "--participant-label 09: not processed yet; there are 01, 02, 03, 04"),
        (
            ("--group-column", "site"),
            "--group-column site: no such column in participants.tsv; there is age, group, sex",
        ),
    ],
)
def test_what_the_group_level_does_not_find_is_listed(options, message, participant_run, app, settings_file):
    result = app(participant_run.dataset, participant_run.output, "group", "--config-file", settings_file, *options)
    assert result.code == 18
    assert result.last_line == f"bids_eeg2fmri: {message}"
    assert not (participant_run.output / "group_summary.json").exists()


# ----------------------------------------------------------------------------------------------------------- determinism


def test_the_same_seed_gives_the_same_series_to_the_last_bit(participant_run, app, settings_file, tmp_path):
    """Also when another participant came first, as in the run that this one is compared with."""
    options = ("--config-file", settings_file, "--n-cpus", 2, "--participant-label", "02")
    assert app(participant_run.dataset, tmp_path / "again", "participant", *options).code == 0
    name = f"{stem('02')}_desc-synth_bold.nii.gz"
    np.testing.assert_array_equal(load(tmp_path / "again" / name), load(participant_run.output / name))


def test_a_relative_path_means_the_same(participant_run, app, settings_file, tmp_path, monkeypatch):
    monkeypatch.chdir(participant_run.dataset.parent)
    options = ("--config-file", settings_file, "--participant-label", "04")
    result = app(participant_run.dataset.name, tmp_path / "out", "participant", *options)
    assert result.code == 0, result.err
    entry = json.loads((tmp_path / "out/sub-04/sub-04_summary.json").read_text())["recordings"][0]
    assert entry["eeg"] == "sub-04/eeg/sub-04_task-rest_eeg.vhdr"


def test_filters_that_select_nothing_leave_finished_results_alone(participant_run, app, settings_file, tmp_path):
    output = tmp_path / "derivatives"
    shutil.copytree(participant_run.output, output)
    options = ("--config-file", settings_file, "--task-label", "rset")
    result = app(participant_run.dataset, output, "participant", *options)
    assert result.code == 18
    assert (output / "sub-01/sub-01_summary.json").exists()
    assert (output / "sub-01.html").exists()


def test_a_failure_takes_the_place_of_an_earlier_result(participant_run, copy, app, settings_file, tmp_path):
    output = tmp_path / "derivatives"
    shutil.copytree(participant_run.output, output)
    dataset = copy(("01",))
    (dataset / "sub-01/eeg/sub-01_task-rest_eeg.eeg").unlink()
    result = app(dataset, output, "participant", "--config-file", settings_file)
    assert result.code == 66
    assert not (output / "sub-01/sub-01_summary.json").exists()
    assert not (output / "sub-01.html").exists()
    assert "sub-01_task-rest_eeg.eeg" in (output / "logs/sub-01_failed.txt").read_text()

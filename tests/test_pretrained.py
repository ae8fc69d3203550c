"""A saved model applied from the command line, and what a bundle that doesn't fit gets."""

import json
import shutil

import nibabel as nib
import numpy as np
import pandas as pd
import pytest


@pytest.fixture(scope="module")
def bundle(group_run):
    """The group's model: trained on participants 01 to 03."""
    return group_run.output / "models" / "group"


@pytest.fixture
def apply(app, settings_file, tmp_path):
    def run(dataset, bundle, *options):
        output = tmp_path / "derivatives"
        return app(dataset, output, "participant", "--model", bundle, "--config-file", settings_file, *options), output

    return run


def series_of(output, subject="04"):
    return output / f"sub-{subject}/func/sub-{subject}_task-rest_desc-synth_bold.nii.gz"


@pytest.fixture(scope="module")
def of_eeg_alone(app, settings_file, dataset, bundle, tmp_path_factory):
    """What the model makes of participant 04."""
    output = tmp_path_factory.mktemp("alone") / "derivatives"
    options = ("--model", bundle, "--config-file", settings_file, "--participant-label", "04")
    result = app(dataset, output, "participant", *options)
    assert result.code == 0, result.err
    return output


def test_eeg_alone_becomes_a_series_on_the_models_grid(bundle, of_eeg_alone):
    output = of_eeg_alone
    image = nib.load(series_of(output))
    data = np.asarray(image.dataobj)
    mask = np.asarray(nib.load(bundle / "mask.nii.gz").dataobj) > 0
    template = np.asarray(nib.load(bundle / "template.nii.gz").dataobj)
    assert image.shape[:3] == (12, 14, 11)
    assert image.header.get_zooms()[3] == 2.0
    assert not data[~mask].any()
    np.testing.assert_allclose(data.mean(-1)[mask], template[mask], rtol=0.01)
    assert data[mask].std(1).max() > 0
    sidecar = json.loads((output / "sub-04/func/sub-04_task-rest_desc-synth_bold.json").read_text())
    assert sidecar["Sources"] == ["bids:raw:sub-04/eeg/sub-04_task-rest_eeg.vhdr"]
    assert sidecar["Model"]["TrainedOn"] == [f"sub-0{i}_task-rest" for i in (1, 2, 3)]
    summary = json.loads((output / "sub-04/sub-04_summary.json").read_text())
    assert summary["verdict"]["headline"].startswith("Not scored")


def test_volumes_without_enough_eeg_hold_the_mean_image(of_eeg_alone):
    output = of_eeg_alone
    table = pd.read_csv(series_of(output).with_name("sub-04_task-rest_desc-synth_timeseries.tsv"), sep="\t")
    data = np.asarray(nib.load(series_of(output)).dataobj)[..., ~table.synthesized]
    assert data.shape[3] == 10  # 20 s of EEG are needed, volumes are counted from the start of the file
    assert (data == data[..., :1]).all()


def test_participants_that_were_learned_from_get_no_verdict(dataset, bundle, apply):
    result, output = apply(dataset, bundle, "--participant-label", "01")
    assert result.code == 0, result.err
    assert "No verdict: the model was trained on these recordings" in result.err
    summary = json.loads((output / "sub-01/sub-01_summary.json").read_text())
    assert summary["verdict"]["better_than_chance"] is None


def rename(dataset, strange, label):
    """Give participant 02 another name."""
    for path in (dataset / "sub-02").rglob("*.*"):
        target = strange / path.relative_to(dataset).as_posix().replace("sub-02", label)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in (".vhdr", ".vmrk"):
            target.write_text(path.read_text().replace("sub-02", label))
        else:
            shutil.copy(path, target)
    return strange / label / f"func/{label}_task-rest_bold.nii.gz"


def test_a_participant_it_was_trained_on_is_known_under_another_name(dataset, copy, bundle, apply):
    strange = copy([])
    rename(dataset, strange, "sub-77")
    result, output = apply(strange, bundle)
    assert result.code == 0, result.err
    assert "No verdict: the model was trained on these recordings" in result.err
    assert "chance" not in json.loads((output / "sub-77/sub-77_summary.json").read_text())


def test_a_stranger_with_bold_is_scored(dataset, copy, bundle, apply):
    strange = copy([])
    bold = rename(dataset, strange, "sub-77")
    image = nib.load(bold)
    other = np.random.default_rng(3).permutation(np.asarray(image.dataobj), axis=3)
    nib.Nifti1Image(other, image.affine, image.header).to_filename(bold)
    result, output = apply(strange, bundle)
    assert result.code == 0, result.err
    scores = pd.read_csv(output / "sub-77/sub-77_scores.tsv", sep="\t")
    assert scores.model.tolist() == ["smooth", "mean image"]
    assert np.isfinite(scores.pooled_r).all()
    assert scores.pooled_r[1] == 0
    summary = json.loads((output / "sub-77/sub-77_summary.json").read_text())
    assert 0 < summary["chance"]["p"] <= 1
    assert summary["verdict"]["better_than_chance"] is not None


def test_bold_on_another_grid_is_not_scored_and_told_so(copy, bundle, apply):
    dataset = copy(["01"])
    path = dataset / "sub-01/func/sub-01_task-rest_bold.nii.gz"
    image = nib.load(path)
    moved = image.affine + np.array([[0, 0, 0, 5.0]] + [[0, 0, 0, 0]] * 3)
    nib.Nifti1Image(np.asarray(image.dataobj), moved, image.header).to_filename(path)
    result, output = apply(dataset, bundle)
    assert result.code == 0, result.err
    assert "Not scored: the measured BOLD is on another grid than the model" in result.err
    [recording] = json.loads((output / "sub-01/sub-01_summary.json").read_text())["recordings"]
    assert recording["remark"].endswith("not scored, its BOLD is on another grid than the model")
    np.testing.assert_allclose(nib.load(series_of(output, "01")).affine, image.affine, atol=1e-4)


def refused(result, output, code):
    assert result.code == code, result.err
    assert len(result.lines) == 2
    assert "Traceback" not in result.err
    assert not list(output.rglob("*_desc-synth_*"))
    assert not list(output.rglob("*_summary.json"))
    assert not list(output.rglob(".part_*"))
    return result.last_line


@pytest.mark.parametrize("level", ["card.json", "template.nii.gz"])
def test_a_bundle_that_lacks_a_file_is_told(level, dataset, bundle, apply, tmp_path):
    broken = shutil.copytree(bundle, tmp_path / "bundle")
    (broken / level).unlink()
    line = refused(*apply(dataset, broken, "--participant-label", "04"), 66)
    assert f"{broken}: expected a bundle with card.json" in line
    assert f"found no {level}; check --model" in line


def test_a_bundle_that_was_tampered_with_is_told(dataset, bundle, apply, tmp_path):
    broken = shutil.copytree(bundle, tmp_path / "bundle")
    with (broken / "network.weights.h5").open("ab") as file:
        file.write(b"x")
    line = refused(*apply(dataset, broken, "--participant-label", "04"), 65)
    assert f"{broken / 'network.weights.h5'}: is not the file that the card describes; copy the bundle anew" in line


def test_a_bundle_of_a_newer_version_is_told(dataset, bundle, apply, tmp_path):
    newer = shutil.copytree(bundle, tmp_path / "bundle")
    card = json.loads((newer / "card.json").read_text())
    (newer / "card.json").write_text(json.dumps(card | {"format_version": 9}))
    line = refused(*apply(dataset, newer, "--participant-label", "04"), 65)
    assert "expected a bundle of format 2 or older, found 9; update bids_eeg2fmri" in line


def keep_channels(dataset, subject, kept):
    """Leave the other EEG channels in the file, as something else than EEG."""
    for path in (dataset / f"sub-{subject}/eeg").glob("*_channels.tsv"):
        table = pd.read_csv(path, sep="\t")
        table.loc[(table.type == "EEG") & ~table.name.isin(kept), "type"] = "MISC"
        table.to_csv(path, sep="\t", index=False)


@pytest.fixture(scope="module")
def large_cap(tmp_path_factory):
    """One participant with EEG alone, of 63 electrodes."""
    from bids_eeg2fmri.testing.simulate import Simulation, simulate_dataset

    path = tmp_path_factory.mktemp("large") / "dataset"
    options = {"tasks": ("rest",), "duration_s": 200.0, "n_channels": 64, "grid": (12, 14, 11), "seed": 5}
    simulate_dataset(path, Simulation(n_participants=0, n_eeg_only=1, **options))
    return path


def test_a_model_says_much_the_same_of_other_electrodes_of_the_same_head(
    large_cap, bundle, app, settings_file, tmp_path, participant_run
):
    """None of the model's electrodes is among the others; brain, noise and time are the same."""
    asked = json.loads((bundle / "card.json").read_text())["channels"]
    names = pd.read_csv(next(large_cap.rglob("*_channels.tsv")), sep="\t").query("type == 'EEG'").name
    series = {}
    for kind, kept in {"own": asked, "others": set(names) - set(asked), "by name": set(names) - set(asked)}.items():
        dataset = shutil.copytree(large_cap, tmp_path / kind / "dataset")
        keep_channels(dataset, "01", kept)
        if kind == "by name":
            for path in dataset.rglob("*_space-CapTrak_*"):
                path.unlink()
        output = tmp_path / kind / "out"
        result = app(dataset, output, "participant", "--model", bundle, "--config-file", settings_file)
        assert result.code == 0, result.err
        data = nib.load(series_of(output, "01")).get_fdata()
        table = pd.read_csv(series_of(output, "01").with_name("sub-01_task-rest_desc-synth_timeseries.tsv"), sep="\t")
        mask = nib.load(bundle / "mask.nii.gz").get_fdata() > 0
        series[kind] = data[mask][:, table.synthesized]
    own, others, by_name = (np.ravel(of - of.mean(1, keepdims=True)) for of in series.values())
    assert np.corrcoef(own, others)[0, 1] > 0.97
    assert np.std(others) == pytest.approx(np.std(own), rel=0.5)
    np.testing.assert_allclose(by_name, others, atol=0.05 * np.std(others))
    summary = json.loads((tmp_path / "others/out/sub-01/sub-01_summary.json").read_text())
    montage = summary["recordings"][0]["montage"]
    assert (len(montage["distances_mm"]), montage["n_measured"], montage["covered"]) == (11, 52, 1.0)
    sidecar = json.loads(
        series_of(tmp_path / "others/out", "01").with_name("sub-01_task-rest_desc-synth_bold.json").read_text()
    )
    assert sidecar["Montage"]["Interpolated"] == asked
    assert "Warning" not in sidecar["Montage"]


def test_too_little_of_the_head_is_told_wherever_the_result_is(copy, bundle, apply):
    dataset = copy(["04"])
    keep_channels(dataset, "04", ["Fp2", "F3", "F4", "C3", "C4", "P3", "P4", "O1", "O2"])
    result, output = apply(dataset, bundle)
    assert result.code == 0, result.err
    told = "electrodes cover 82 % of the 11 channels that the model asked for"
    sidecar = json.loads((output / "sub-04/func/sub-04_task-rest_desc-synth_bold.json").read_text())
    assert sidecar["Montage"]["Interpolated"] == ["Fp1", "F7"]
    assert sidecar["Montage"]["Warning"].startswith(told)
    summary = json.loads((output / "sub-04/sub-04_summary.json").read_text())
    assert summary["recordings"][0]["montage"]["far"] == ["F7", "Fp1"]
    assert any(told in sentence for sentence in summary["verdict"]["sentences"])
    page = (output / "sub-04.html").read_text()
    assert "2 of 11 channels that the model asked for are interpolated from the others" in page
    assert "no electrode is near to F7, Fp1: take what is synthesized with care" in page
    assert "were interpolated from its electrodes by spherical splines" in page
    [log] = (output / "logs").glob("*.log")
    assert told in log.read_text()


def test_channels_at_no_known_place_can_not_be_those_of_a_model(copy, bundle, apply):
    dataset = copy(["04"])
    folder = dataset / "sub-04/eeg"
    names = json.loads((bundle / "card.json").read_text())["channels"]
    for path in [*folder.glob("*.vhdr"), *folder.glob("*_channels.tsv")]:
        text = path.read_text()
        for number, name in enumerate(names, start=1):
            text = text.replace(f"={name},", f"=E{number},").replace(f"\n{name}\t", f"\nE{number}\t")
        path.write_text(text)
    for path in folder.glob("*_space-CapTrak_*"):
        path.unlink()
    line = refused(*apply(dataset, bundle), 65)
    assert (
        "sub-04_task-rest_eeg.vhdr: the model expects 11 channels, 11 of them missing or bad here: Fp1, Fp2, F3" in line
    )
    assert (
        "positions of at least 8 good channels are needed, found 0; add electrodes.tsv, or use a model of this" in line
    )


def test_eeg_that_is_shorter_than_a_window_is_told(copy, bundle, apply):
    import mne
    import pybv

    dataset = copy(["04"])
    path = dataset / "sub-04/eeg/sub-04_task-rest_eeg.vhdr"
    raw = mne.io.read_raw_brainvision(path, verbose="error")
    data, names = raw.get_data(stop=250 * 12), raw.ch_names
    pybv.write_brainvision(
        data=data, sfreq=250, ch_names=names, fname_base=path.stem, folder_out=str(path.parent), overwrite=True
    )
    sidecar = path.with_suffix(".json")
    sidecar.write_text(json.dumps(json.loads(sidecar.read_text()) | {"RecordingDuration": 12.0}))
    line = refused(*apply(dataset, bundle), 65)
    assert "no volume has the 18 s of EEG before it that the model needs" in line


@pytest.fixture(scope="module")
def tuned(app, settings_file, dataset, participant_run, tmp_path_factory):
    """Participant 02 by the model of participant 01, tuned."""
    output = tmp_path_factory.mktemp("tuned") / "derivatives"
    bundle = participant_run.output / "models" / "sub-01"
    options = ("--model", bundle, "--fine-tune", "--config-file", settings_file, "--participant-label", "02")
    result = app(dataset, output, "participant", *options)
    assert result.code == 0, result.err
    return output, bundle


def test_a_tuned_model_stands_beside_what_it_was(tuned):
    output, bundle = tuned
    table = pd.read_csv(output / "sub-02/sub-02_scores.tsv", sep="\t").set_index("model")
    assert table.index[0] == "smooth"
    assert {"saved model before it was tuned", "lagged band-power ridge", "mean image"} <= set(table.index)
    assert table.pooled_r["smooth"] > table.pooled_r["saved model before it was tuned"] - 0.02
    card, before = (json.loads((folder / "card.json").read_text()) for folder in (output / "models" / "sub-02", bundle))
    assert card["tuned_from"] == str(bundle)
    assert card["trained_on"] == ["sub-02_task-rest"]
    assert set(before["fingerprints"]) < set(card["fingerprints"])
    assert card["channels"] == before["channels"]
    sidecar = json.loads((output / "sub-02/func/sub-02_task-rest_desc-synth_bold.json").read_text())
    assert sidecar["Model"]["TunedFrom"] == str(bundle)


def test_a_tuned_model_is_a_model(tuned, dataset, apply):
    result, output = apply(dataset, tuned[0] / "models" / "sub-02", "--participant-label", "03")
    assert result.code == 0, result.err
    assert json.loads((output / "sub-03/sub-03_summary.json").read_text())["scores"][0]["model"] == "smooth"


def test_a_model_is_not_tuned_to_what_it_has_learned_from(dataset, participant_run, apply):
    bundle = participant_run.output / "models" / "sub-01"
    result, _ = apply(dataset, bundle, "--participant-label", "01", "--fine-tune")
    assert result.code == 65
    assert "has learned from this very recording" in result.err


def test_a_model_is_tuned_to_bold(dataset, participant_run, apply):
    bundle = participant_run.output / "models" / "sub-01"
    result, _ = apply(dataset, bundle, "--participant-label", "04", "--fine-tune")
    assert result.code == 65
    assert "expected BOLD to tune the model to, found none; leave --fine-tune out" in result.err


def test_tuning_asks_for_a_saved_model(dataset, app, tmp_path):
    for options in (("--fine-tune",), ("--fine-tune", "--model", "separable")):
        result = app(dataset, tmp_path / "out", "participant", *options)
        assert result.code == 64
        assert "--fine-tune: tunes a saved model; name its folder with --model" in result.err

import json
import re
import shutil
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from bids_eeg2fmri.bold.grid import Grid
from bids_eeg2fmri.config import AlignmentSettings, GradientSettings, PulseSettings, Settings, WireSettings
from bids_eeg2fmri.eeg.alignment import Scan, align_from
from bids_eeg2fmri.eeg.montage import Wanted
from bids_eeg2fmri.errors import AlignmentError, InputDataError, ModelError
from bids_eeg2fmri.testing.simulate import CAP, Simulation, simulate_dataset
from bids_eeg2fmri.windows import make_windows
from bids_eeg2fmri.workflow.eeg import Sampling
from bids_eeg2fmri.workflow.plan import plan_participant
from bids_eeg2fmri.workflow.preparation import on_common_ground, prepare

SAMPLING = Sampling.by_settings(Settings())


def by_model(*channels, positions_m=None):
    return replace(SAMPLING, wanted=Wanted.of(channels, positions_m), lags_s=tuple(np.arange(0.0, 10.0, 1.0)))


@pytest.fixture
def prepared(copy):
    return lambda change=lambda dataset: None: prepare(plan_of(copy, change), SAMPLING)


def plan_of(copy, change=lambda dataset: None):
    dataset = copy()
    change(dataset)
    [planned] = plan_participant(dataset, "01")
    return planned


def bold_of(dataset):
    return dataset / "sub-01/func/sub-01_task-rest_bold.nii.gz"


def test_volumes_are_found_where_the_simulation_put_them(prepared, dataset):
    p = prepared()
    truth = np.loadtxt(dataset.with_name("dataset_truth") / "sub-01_task-rest_truth.tsv", skiprows=1, usecols=1)
    np.testing.assert_allclose(p.onsets_s, truth, atol=0.002)
    assert p.table.shape == (100, p.grid.n_voxels)
    assert p.spectrum.channels[0] == "Fp1"
    assert "ECG" not in p.spectrum.channels
    assert len(p.positions) == len(p.spectrum.channels) == 11
    assert all(0.05 < np.linalg.norm(xyz) < 0.15 for xyz in p.positions)


def test_frames_end_at_the_onsets_themselves(prepared):
    p = prepared()
    nearest = np.abs(p.onsets_s[10:90, None] - p.spectrum.ends_s).min(1)
    assert nearest.max() < 1e-3


def without_markers(dataset):
    path = dataset / "sub-01/eeg/sub-01_task-rest_eeg.vmrk"
    path.write_text("\n".join(line for line in path.read_text().splitlines() if "R128" not in line) + "\n")


def test_what_was_wrong_with_the_plan_is_raised_when_it_is_its_turn(copy):
    with pytest.raises(AlignmentError, match="expected 100 volume markers 2 s apart, found no marker at all"):
        prepare(plan_of(copy, without_markers), SAMPLING)


def test_evidence_and_notes_are_told(copy, caplog):
    dataset = copy()
    without_markers(dataset)
    [planned] = plan_participant(dataset, "01", Settings(alignment=AlignmentSettings(assume_start_together=True)))
    with caplog.at_level("INFO", logger="bids_eeg2fmri.workflow"):
        prepare(planned, SAMPLING)
    told = {record.getMessage(): record.levelname for record in caplog.records}
    assert told["sub-01_task-rest: nothing in the data confirms that EEG and BOLD start together"] == "WARNING"
    assert told[f"sub-01_task-rest: {planned.alignment.evidence}"] == "INFO"


@pytest.mark.parametrize("start_s", [-30.0, 60.0], ids=["EEG starts late", "EEG ends early"])
def test_volumes_without_eeg_stay_in_the_series(copy, start_s):
    planned = plan_of(copy)
    alignment = align_from(start_s, Scan(100, 2.0), evidence="told", note="")
    p = prepare(replace(planned, alignment=alignment), SAMPLING)
    np.testing.assert_array_equal(p.onsets_s, start_s + 2.0 * np.arange(100))
    assert len(p.table) == p.n_volumes == 100
    assert p.spectrum.ends_s.min() >= SAMPLING.frame_s
    assert p.spectrum.ends_s.max() <= p.duration_s


@pytest.mark.parametrize("start_s", [-200.0, 5000.0])
def test_no_volume_with_eeg_is_told_with_the_numbers(copy, start_s):
    alignment = align_from(start_s, Scan(100, 2.0), evidence="scans.tsv", note="")
    with pytest.raises(
        InputDataError, match=rf"EEG during the volumes, which start at {start_s:.1f} s, found \d+\.\d s"
    ):
        prepare(replace(plan_of(copy), alignment=alignment), SAMPLING)


def test_eeg_alone_gets_a_series_of_the_repetition_time_that_is_asked_for(dataset):
    [planned] = plan_participant(dataset, "04")
    p = prepare(planned, replace(SAMPLING, tr_s=1.7))
    assert (p.alignment, p.grid, p.table, p.fingerprint) == (None, None, None, "")
    assert p.tr_s == 1.7
    np.testing.assert_allclose(p.onsets_s, 1.7 * np.arange(int(p.duration_s / 1.7)))


def test_a_voxel_that_is_nan_once_is_outside(prepared):
    def change(dataset):
        image = nib.load(bold_of(dataset))
        data = np.asarray(image.dataobj, dtype=np.float32)
        data[6, 7, 5, 31] = np.nan
        nib.Nifti1Image(data, image.affine).to_filename(bold_of(dataset))

    p = prepared(change)
    assert not p.grid.mask[6, 7, 5]
    assert np.isfinite(p.table).all()


def test_a_header_that_does_not_know_the_repetition_time_is_no_claim(prepared):
    def change(dataset):
        image = nib.load(bold_of(dataset))
        nib.Nifti1Image(np.asarray(image.dataobj), image.affine).to_filename(bold_of(dataset))

    assert prepared(change).tr_s == 2.0


def test_a_header_in_ms_is_understood(prepared):
    def change(dataset):
        image = nib.load(bold_of(dataset))
        image = nib.Nifti1Image(np.asarray(image.dataobj), image.affine)
        image.header.set_zooms((*image.header.get_zooms()[:3], 2000.0))
        image.header.set_xyzt_units("mm", "msec")
        image.to_filename(bold_of(dataset))
        path = dataset / "sub-01/func/sub-01_task-rest_bold.json"
        path.write_text(json.dumps({"TaskName": "rest"}))

    assert prepared(change).tr_s == 2.0


def test_bad_channels_are_left_out(prepared):
    def change(dataset):
        path = dataset / "sub-01/eeg/sub-01_task-rest_channels.tsv"
        lines = path.read_text().splitlines()
        lines = [line.replace("good", "bad") if line.startswith(("F3\t", "C4\t")) else line for line in lines]
        path.write_text("\n".join(lines) + "\n")

    p = prepared(change)
    assert len(p.spectrum.channels) == 9
    assert not {"F3", "C4"} & set(p.spectrum.channels)


def test_too_slow_eeg_is_told_with_the_remedy(copy):
    with pytest.raises(
        InputDataError, match=r"expected at least 300 Hz for power up to 120 Hz, found 250 Hz; lower spec"
    ):
        prepare(plan_of(copy), Sampling((10.0, 120.0), 2.0, 1.0))


def test_runs_are_brought_to_their_common_voxels_and_channels(make_run):
    a, b, c = (make_run(40, seed=i) for i in range(3))
    mask = a.grid.mask.copy()
    mask[tuple(np.argwhere(mask)[11])] = False
    smaller = Grid(mask, a.grid.affine)
    b = replace(b, grid=smaller, table=np.delete(b.table, 11, axis=1))
    spectrum = replace(b.spectrum, power=b.spectrum.power[:, [2, 0]], channels=("C4", "C3"))
    b = replace(b, spectrum=spectrum, positions=[[3.0] * 3, [1.0] * 3])
    c = replace(c, grid=Grid(c.grid.mask, c.grid.affine + np.eye(4)))
    kept, left_out = on_common_ground([a, b, c])
    assert [p.recording.name for p in kept] == ["sub-01_task-rest_run-1", "sub-01_task-rest_run-2"]
    assert [(r.name, "is not the" in reason) for r, reason in left_out] == [("sub-01_task-rest_run-3", True)]
    for p in kept:
        np.testing.assert_array_equal(p.grid.mask, mask)
        assert p.table.shape == (40, smaller.n_voxels)
        assert p.spectrum.channels == ("C3", "C4")
    np.testing.assert_array_equal(kept[0].table, np.delete(a.table, 11, axis=1))
    np.testing.assert_array_equal(kept[1].spectrum.power[:, 1], b.spectrum.power[:, 0])
    assert kept[1].positions == [[1.0] * 3, [3.0] * 3]


def test_a_model_of_another_repetition_time_gets_frames_at_its_own_lags(copy):
    """Steps of 0.77 s do not divide the repetition time: every window still ends at its volume."""
    lags = tuple(0.77 * np.arange(9))
    p = prepare(plan_of(copy), replace(SAMPLING, step_s=0.77, lags_s=lags))
    windows = make_windows([p.spectrum], [p.onsets_s], lags=np.array(lags))
    ends = p.spectrum.ends_s[windows.frames[windows.complete]]
    assert windows.complete.sum() > 80
    np.testing.assert_allclose(ends, p.onsets_s[windows.complete][:, None] - np.array(lags), atol=1e-5)


def test_bands_above_what_200_hz_can_hold_are_computed_from_a_higher_rate(copy):
    p = prepare(plan_of(copy), replace(SAMPLING, freqs_hz=tuple(np.arange(4.0, 96.0, 2.0))))
    assert np.isfinite(p.spectrum.power).all()


def test_the_same_measurement_is_known_by_any_name(dataset, copy):
    def fingerprint(folder):
        [planned] = plan_participant(folder, "01")
        return prepare(planned, SAMPLING).fingerprint

    changed = copy()
    image = nib.load(bold_of(changed))
    data = np.asarray(image.dataobj)
    unpacked = bold_of(changed).with_suffix("")
    nib.Nifti1Image(data, image.affine, image.header).to_filename(unpacked)
    bold_of(changed).unlink()
    assert fingerprint(changed) == fingerprint(dataset)
    data[..., 3] += 1
    nib.Nifti1Image(data, image.affine, image.header).to_filename(unpacked)
    assert fingerprint(changed) != fingerprint(dataset)


@pytest.fixture(scope="module")
def from_the_scanner(tmp_path_factory):
    """One recording as it comes out of the scanner, and the same after somebody took its artefact away."""
    plans = {}
    common = {"n_participants": 1, "tasks": ("rest",), "duration_s": 150.0, "n_channels": 12, "grid": (12, 14, 11)}
    for name, options in {
        "raw": {"sfreq": 5000.0, "gradient_uv": 10_000.0, "pulse_uv": 80.0},
        "clean": {"sfreq": 250.0},
    }.items():
        dataset = tmp_path_factory.mktemp(name) / "dataset"
        simulate_dataset(dataset, Simulation(**common, **options, scanner_ppm=15.0, lead_s=14.3))
        [plans[name]] = plan_participant(dataset, "01")
    return plans


def test_raw_eeg_from_the_scanner_gives_the_power_of_clean_eeg(from_the_scanner, caplog):
    with caplog.at_level("INFO"):
        raw, clean = (prepare(from_the_scanner[name], SAMPLING, Settings()) for name in ("raw", "clean"))
    assert raw.gradient.corrected
    assert raw.gradient.n_volumes == 75
    assert not clean.gradient.corrected
    assert raw.pulse.corrected
    assert raw.pulse.source == "ECG"
    assert not clean.pulse.corrected
    assert raw.bad_channels.reasons == clean.bad_channels.reasons == {}
    assert "gradient artefact subtracted from 75 volumes; at their harmonics" in caplog.text
    assert "pulse artefact subtracted at" in caplog.text
    # The frames of both end at the volumes.
    both = [
        p.spectrum.power[np.searchsorted(p.spectrum.ends_s, p.onsets_s[2:] - 1e-3)].reshape(-1, 39)
        for p in (raw, clean)
    ]
    r = [np.corrcoef(a, b)[0, 1] for a, b in zip(both[0].T, both[1].T, strict=True)]
    assert np.median(r) > 0.94  # a template of 30 volumes adds 1/30 of the EEG's power
    assert np.abs(np.median(both[0] - both[1], axis=0)).max() < 3  # what differs between heartbeats, below 6 Hz
    # The heart is heard through the scanner.
    assert raw.cardiac is not None
    for ours, theirs in zip(raw.cardiac.T, clean.cardiac.T, strict=True):
        assert np.corrcoef(ours, theirs)[0, 1] > 0.95


def test_the_artefact_stays_where_it_is_said_to(from_the_scanner):
    never = Settings(gradient=GradientSettings(correct="never"), pulse=PulseSettings(correct="never"))
    as_it_is = prepare(from_the_scanner["raw"], SAMPLING, never)
    assert as_it_is.gradient is None
    assert as_it_is.pulse is None
    corrected = prepare(from_the_scanner["raw"], SAMPLING, Settings())
    more = np.median(as_it_is.spectrum.power - corrected.spectrum.power, axis=(0, 1))
    assert more.max() > 15  # at the slices
    assert more.min() < 3  # between them


def test_what_loops_of_carbon_wire_saw_goes_and_is_told(tmp_path, caplog):
    common = {
        "n_participants": 1,
        "tasks": ("rest",),
        "duration_s": 90.0,
        "n_channels": 12,
        "grid": (12, 14, 11),
        "lead_s": 14.3,
    }
    moving = {"motion_uv": 300.0, "n_wires": 3}
    planned = {}
    for name, options in {"moving": moving, "still": {}}.items():
        simulate_dataset(tmp_path / name, Simulation(**common, **options))
        [planned[name]] = plan_participant(tmp_path / name, "01")
    with caplog.at_level("INFO"):
        regressed, still = (prepare(planned[name], SAMPLING, Settings()) for name in ("moving", "still"))
    left = prepare(planned["moving"], SAMPLING, Settings(wires=WireSettings(correct="never")))
    assert regressed.wires.loops == ("CWL1", "CWL2", "CWL3")
    assert regressed.wires.corrected
    assert (left.wires, still.wires) == (None, None)
    assert "motion that 3 carbon-wire loops saw regressed; EEG of" in caplog.text
    assert regressed.spectrum.channels == left.spectrum.channels == still.spectrum.channels
    away, away_left = (np.abs(of.spectrum.power - still.spectrum.power).mean() for of in (regressed, left))
    assert 3 * away < away_left  # dB


@pytest.fixture
def without_bold(from_the_scanner, tmp_path):
    """Plan the recording of the scanner whose BOLD is gone; markers too, if asked for."""

    def plan(*, name="raw", markers=True):
        dataset = tmp_path / "dataset"
        shutil.copytree(from_the_scanner[name].recording.eeg.parents[2], dataset)
        shutil.rmtree(dataset / "sub-01/func")
        if not markers:
            without_markers(dataset)
        [planned] = plan_participant(dataset, "01")
        return planned

    return plan


@pytest.mark.parametrize(("markers", "by"), [(True, "regular markers"), (False, "the artefact of gradients")])
def test_eeg_of_the_scanner_without_bold_is_cleaned_too(markers, by, without_bold, from_the_scanner, caplog):
    with caplog.at_level("INFO"):
        p = prepare(without_bold(markers=markers), SAMPLING, Settings())
    assert re.search(rf"75 volumes without BOLD from 14\.30. s on, told by {by}", caplog.text)
    assert "repeats itself" not in caplog.text
    assert p.alignment is None
    assert p.gradient.corrected
    assert p.gradient.n_volumes == 75
    assert p.pulse.corrected
    assert p.pulse.source == "ECG"
    paired = prepare(from_the_scanner["raw"], SAMPLING, Settings())
    for of in (np.median, np.std):
        np.testing.assert_allclose(
            of(p.spectrum.power, axis=(0, 1)), of(paired.spectrum.power, axis=(0, 1)), atol=1.5
        )  # dB


def test_an_artefact_that_nobody_can_tell_the_volumes_of_is_told(without_bold, caplog):
    planned = without_bold(markers=False)
    p = prepare(planned, replace(SAMPLING, tr_s=2.7), Settings())
    assert "the EEG repeats itself as an artefact of gradients does, which could not be removed" in caplog.text
    assert p.gradient is None
    caplog.clear()
    prepare(planned, replace(SAMPLING, tr_s=2.7), Settings(gradient=GradientSettings(correct="never")))
    assert not caplog.records


def test_clean_eeg_without_bold_is_left_alone(without_bold, caplog):
    with caplog.at_level("INFO"):
        p = prepare(without_bold(name="clean"), SAMPLING, Settings())
    assert (p.gradient, p.wires, p.pulse) == (None, None, None)
    assert "volumes without BOLD" not in caplog.text
    assert "repeats itself" not in caplog.text


def break_channels(dataset, rewrite_eeg):
    """C3 is 20 times too large, C4 never changes, P3 holds a NaN."""

    def change(data, names):
        data[names.index("C3")] *= 20
        data[names.index("C4")] = 0
        data[names.index("P3"), 1000] = np.nan

    rewrite_eeg(dataset, change)


def rename_channels(dataset, name_of):
    """Write other names into the header and the table of channels."""
    folder = dataset / "sub-01/eeg"
    for path, pattern in (
        (folder / "sub-01_task-rest_eeg.vhdr", r"^(Ch\d+=)(\w+)"),
        (folder / "sub-01_task-rest_channels.tsv", r"^()(\w+)(?=\tEEG)"),
    ):
        text = re.sub(
            pattern, lambda found: found[1] + name_of.get(found[2], found[2]), path.read_text(), flags=re.MULTILINE
        )
        path.write_text(text)


def forget_positions(dataset):
    for path in (dataset / "sub-01/eeg").glob("*_space-CapTrak_*"):
        path.unlink()


def test_bad_channels_are_interpolated_and_told(copy, rewrite_eeg, caplog):
    planned = plan_of(copy, lambda dataset: break_channels(dataset, rewrite_eeg))
    p = prepare(planned, SAMPLING, Settings())
    assert list(p.bad_channels.reasons) == ["C4", "P3", "C3"]
    assert p.bad_channels.reasons["C4"] == "never changes"
    assert p.bad_channels.interpolated
    assert "bad channels interpolated: C4 never changes; P3 holds values that are no numbers; C3 is" in caplog.text
    assert len(p.spectrum.channels) == len(p.positions) == 11
    sizes = p.spectrum.power.mean((0, 2))
    assert np.ptp(sizes) < 12  # dB


def test_bad_channels_at_no_known_place_are_left_out_unless_a_model_asks_for_them(copy, rewrite_eeg):
    """A cap that counts its electrodes, and nobody wrote down where they are."""

    def change(dataset):
        break_channels(dataset, rewrite_eeg)
        rename_channels(dataset, {name: f"E{number}" for number, name in enumerate(CAP[:11], start=1)})
        forget_positions(dataset)

    planned = plan_of(copy, change)
    p = prepare(planned, SAMPLING, Settings())
    assert list(p.bad_channels.reasons) == ["E6", "E7", "E5"]
    assert not p.bad_channels.interpolated
    assert len(p.spectrum.channels) == len(p.positions) == 8
    assert not {"E5", "E6", "E7"} & set(p.spectrum.channels)
    assert p.montage.unplaced == tuple(f"E{number}" for number in range(1, 12))
    with pytest.raises(
        ModelError, match=r"expects 2 channels, 1 of them missing or bad here: E6; nothing tells where E6 would be"
    ):
        prepare(planned, by_model("E6", "E1"), Settings())


def test_a_channel_that_a_model_asks_for_is_interpolated_although_it_is_marked(copy):
    def mark(dataset):
        path = dataset / "sub-01/eeg/sub-01_task-rest_channels.tsv"
        path.write_text(re.sub(r"^(C3\t.*)good$", r"\1bad", path.read_text(), flags=re.MULTILINE))

    planned = plan_of(copy, mark)
    assert "C3" not in prepare(planned, SAMPLING, Settings()).spectrum.channels
    asked = ("C3", "Fp1", "Fp2", "F3", "F4", "C4", "P3", "P4", "O1", "O2")
    p = prepare(planned, by_model(*asked), Settings())
    assert p.spectrum.channels == asked
    assert p.bad_channels.reasons == {"C3": "is marked as bad in channels.tsv"}
    assert p.bad_channels.interpolated


def test_where_most_channels_are_bad_there_is_no_eeg(copy, rewrite_eeg):
    def change(dataset):
        rewrite_eeg(dataset, lambda data, names: data[:7].fill(0))

    with pytest.raises(
        InputDataError, match=r"expected EEG in most channels, found 7 of 11 bad: Fp1 never changes; .* 1 more"
    ):
        prepare(plan_of(copy, change), SAMPLING, Settings())

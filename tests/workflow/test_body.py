"""Motion and heart rate of a recording, from what lies beside it or from itself; without them it goes on."""

import gzip
import json

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import shift

from bids_eeg2fmri.config import Settings
from bids_eeg2fmri.evaluation.baselines import cardiac_features
from bids_eeg2fmri.evaluation.confounds import SIX
from bids_eeg2fmri.workflow.eeg import Sampling
from bids_eeg2fmri.workflow.plan import plan_participant
from bids_eeg2fmri.workflow.preparation import prepare

SAMPLING = Sampling.by_settings(Settings())
STEM = "sub-01_task-rest"
LOGGER = "bids_eeg2fmri.workflow.body"


@pytest.fixture
def prepared(copy, caplog):
    def prepared(change=lambda dataset: None):
        dataset = copy()
        change(dataset)
        [planned] = plan_participant(dataset, "01")
        with caplog.at_level("INFO", logger=LOGGER):
            p = prepare(planned, SAMPLING)
        return p, [record.getMessage() for record in caplog.records if record.name == LOGGER]

    return prepared


def write_ecg(dataset, change):
    """Change the ECG in the binary file; it is the last channel."""
    path = dataset / "sub-01/eeg" / f"{STEM}_eeg.eeg"
    samples = np.fromfile(path, dtype="<i2").reshape(-1, 12)
    samples[:, -1] = change(samples[:, -1])
    samples.tofile(path)


def beats_of(dataset):
    return pd.read_csv(dataset.with_name("dataset_truth") / f"{STEM}_heart.tsv", sep="\t").beat_eeg_s.to_numpy()


def test_the_heart_rate_comes_from_the_ecg_of_the_eeg(prepared, dataset):
    p, _ = prepared()
    expected = cardiac_features(beats_of(dataset), p.onsets_s)
    assert p.cardiac.shape == expected.shape
    for found, true in zip(p.cardiac.T, expected.T, strict=True):
        assert np.corrcoef(found, true)[0, 1] > 0.98
    assert "ECG" not in p.spectrum.channels


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda ecg: 0 * ecg, "ECG: expected a signal that varies, found a constant"),
        (lambda ecg: np.random.default_rng(0).integers(-9000, 9000, len(ecg)), "ECG: expected intervals like those"),
    ],
    ids=["flat", "noise"],
)
def test_an_ecg_that_tells_no_heartbeat_is_told_and_stops_nothing(change, reason, prepared):
    p, told = prepared(lambda dataset: write_ecg(dataset, change))
    assert p.cardiac is None
    assert len(p.table) == 100
    assert any(f"{STEM}: the heart rate is unknown ({reason}" in line for line in told)


def test_without_an_ecg_the_heart_rate_is_unknown(prepared):
    def change(dataset):
        path = dataset / "sub-01/eeg" / f"{STEM}_channels.tsv"
        path.write_text(path.read_text().replace("ECG\tECG", "ECG\tMISC"))
        header = path.with_name(f"{STEM}_eeg.vhdr")
        header.write_text(header.read_text().replace("=ECG,", "=X9,"))
        path.write_text(path.read_text().replace("ECG\t", "X9\t"))

    p, told = prepared(change)
    assert p.cardiac is None
    assert f"{STEM}: the heart rate is unknown (the EEG has no ECG channel that is not marked as bad)" in told


def test_a_pulse_recorded_with_the_bold_comes_first(prepared, dataset):
    first_s, sfreq, start_s = 14.3, 40.0, -9.5
    pulses = np.arange(0, 215, 0.9) + 0.05 * np.sin(np.arange(0, 215, 0.9) / 11) - 10  # another heart than the ECG's

    def change(dataset):
        times = start_s + np.arange(8600) / sfreq
        curve = np.exp(-0.5 * ((times[:, None] - pulses) / 0.12) ** 2).sum(1)
        path = dataset / "sub-01/func" / f"{STEM}_physio.tsv.gz"
        with gzip.open(path, "wt") as file:
            file.writelines(f"{value:.4f}\n" for value in curve)
        told = {"SamplingFrequency": sfreq, "StartTime": start_s, "Columns": ["cardiac"]}
        path.with_name(f"{STEM}_physio.json").write_text(json.dumps(told))

    p, _ = prepared(change)
    expected = cardiac_features(pulses, p.onsets_s - first_s)
    assert np.corrcoef(p.cardiac[:, 2], expected[:, 2])[0, 1] > 0.9


def test_a_pulse_that_can_not_be_read_leaves_it_to_the_ecg(prepared, dataset):
    def change(dataset):
        path = dataset / "sub-01/func" / f"{STEM}_physio.tsv.gz"
        path.write_bytes(b"not compressed at all, this")
        told = {"SamplingFrequency": 40, "StartTime": 0, "Columns": ["cardiac"]}
        path.with_name(f"{STEM}_physio.json").write_text(json.dumps(told))

    p, _ = prepared(change)
    assert np.corrcoef(p.cardiac[:, 2], cardiac_features(beats_of(dataset), p.onsets_s)[:, 2])[0, 1] > 0.98


def write_confounds(dataset, n):
    table = pd.DataFrame(np.random.default_rng(0).standard_normal((n, 6)), columns=SIX).assign(csf=1.0)
    path = dataset / "sub-01/func" / f"{STEM}_desc-confounds_timeseries.tsv"
    table.to_csv(path, sep="\t", index=False)
    return table[list(SIX)].to_numpy()


def test_motion_comes_from_a_table_of_confounds(prepared):
    written = []
    p, _ = prepared(lambda dataset: written.append(write_confounds(dataset, 100)))
    np.testing.assert_allclose(p.motion, written[0], rtol=1e-5)


def test_confounds_of_another_series_are_told_and_left_out(prepared):
    p, told = prepared(lambda dataset: write_confounds(dataset, 97))
    assert p.motion is None
    [warning] = [line for line in told if "desc-confounds" in line]
    assert "expected 100 rows, one per volume, found 97; motion is estimated from the image" in warning


def test_a_head_that_keeps_still_has_no_motion(prepared):
    p, told = prepared()
    assert p.motion is None
    assert f"{STEM}: motion is unknown (what surrounds the brain tells of no motion)" in told


def test_motion_is_seen_in_the_image(prepared):
    steps_mm = np.cumsum(np.random.default_rng(1).standard_normal(100))
    steps_mm = 0.4 * (steps_mm - steps_mm.mean()) / steps_mm.std()

    def change(dataset):
        path = dataset / "sub-01/func" / f"{STEM}_bold.nii.gz"
        image = nib.load(path)
        data = np.asarray(image.dataobj, dtype=np.float32)
        size = image.header.get_zooms()[2]
        moved = [
            shift(volume, (0, 0, mm / size), order=1, mode="nearest")
            for volume, mm in zip(np.moveaxis(data, -1, 0), steps_mm, strict=True)
        ]
        nib.Nifti1Image(np.stack(moved, -1), image.affine, image.header).to_filename(path)

    p, _ = prepared(change)
    assert p.motion.shape == (100, 24)
    assert np.corrcoef(p.motion[:, 2], steps_mm)[0, 1] > 0.9

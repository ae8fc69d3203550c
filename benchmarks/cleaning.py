"""How well artefacts of the scanner go, in which time and memory: this package beside MNE's own functions, on the same file.

    python benchmarks/cleaning.py [--channels N] [--minutes N] [--pulse UV] [--motion UV --wires N] [--facetpy PYTHON]

EEG at 5 kHz with gradients of 10 mV at 15 ppm between the clocks, and the pulse. The EEG that was simulated is known. Each
method runs in a process of its own. MNE's average artefact subtraction works at the full rate; its volumes are those of the
markers, to the next sample. Then comes its resampling, and its optimal basis sets at the beats that this package finds.
With jerks of the head and loops of carbon wire, this package is measured with and without the loops.

facetpy pins older versions of MNE and numpy: it needs an environment of its own, whose interpreter is named. It corrects gradients
alone, so ``--pulse 0`` is fair to it; its standard pipeline runs at four times the rate, with its aligners, templates and PCA.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

LOWEST_SFREQ = 200.0
COMMON = {"n_participants": 1, "tasks": ("rest",), "grid": (14, 17, 30), "scanner_ppm": 15.0, "lead_s": 14.3}


def with_ours(eeg, alignment, n_slices, loops=()):
    from bids_eeg2fmri.eeg.cleaning import remove_scanner_artifacts
    from bids_eeg2fmri.eeg.downsampling import downsample

    signals = downsample(eeg.raw, [*eeg.channels, "ECG", *loops], lowest_sfreq=LOWEST_SFREQ)
    return remove_scanner_artifacts(
        signals, onsets_s=alignment.onsets_s, tr_s=alignment.tr_s, n_slices=n_slices, ecg="ECG", loops=loops
    )[0]


def with_loops(eeg, alignment, n_slices):
    return with_ours(eeg, alignment, n_slices, eeg.loops)


def with_mne(eeg, alignment, n_slices):
    import mne

    from bids_eeg2fmri.eeg.downsampling import Signals
    from bids_eeg2fmri.eeg.heart import find_beats

    channels = eeg.channels
    raw = eeg.raw.copy().pick([*channels, "ECG"]).load_data(verbose="error")
    events = np.rint(alignment.markers_s * raw.info["sfreq"]).astype(int)
    raw = mne.preprocessing.remove_fmri_gradient_artifact(
        raw, events, window=(15, 15), tr_tol=2, picks=[*channels, "ECG"], copy=False
    )
    raw.resample(LOWEST_SFREQ, verbose="error").filter(0.5, None, verbose="error")
    beats_s = find_beats(raw.get_data(picks=["ECG"])[0], LOWEST_SFREQ)
    raw = mne.preprocessing.apply_pca_obs(raw, picks=channels, qrs_times=beats_s, copy=False)
    return Signals(raw.get_data().astype(np.float32), LOWEST_SFREQ, tuple(raw.ch_names))


FACETPY = """
import json, re, sys, time
from pathlib import Path
from facet.core import Pipeline
from facet.correction import AASCorrection, PCACorrection
from facet.io import Loader
from facet.preprocessing import (CutAcquisitionWindow, DownSample, HighPassFilter, LowPassFilter, PasteAcquisitionWindow,
    SliceAligner, SubsampleAligner, TriggerDetector, UpSample)

source, target = sys.argv[1:]
steps = [Loader(path=source, preload=True, artifact_to_trigger_offset=0.0), TriggerDetector(regex="Response/R128"),
    CutAcquisitionWindow(), HighPassFilter(freq=1.0), UpSample(factor=4), SliceAligner(ref_trigger_index=0),
    SubsampleAligner(ref_trigger_index=0), AASCorrection(window_size=30, correlation_threshold=0.975),
    PCACorrection(n_components=0.95, hp_freq=1.0), DownSample(factor=4), PasteAcquisitionWindow(), LowPassFilter(freq=70.0)]
Path("/proc/self/clear_refs").write_text("5")
started = time.perf_counter()
result = Pipeline(steps, name="standard").run()
seconds = time.perf_counter() - started
peak = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1e3
assert result.success, result.error
result.context.get_raw().save(target, overwrite=True, verbose="error")
print(json.dumps({"s": seconds, "peak MB": peak}))
"""


def measure_facetpy(python: str, folder: Path) -> dict:
    """Clean the raw file in facetpy's own environment; compare as the others are compared."""
    import mne

    from bids_eeg2fmri.bids.reading import read_eeg
    from bids_eeg2fmri.bids.reading.bold import read_bold_header
    from bids_eeg2fmri.eeg.downsampling import downsample

    planned = plan(folder / "raw")
    command = [python, "-c", FACETPY, str(planned.recording.eeg), str(folder / "facetpy_raw.fif")]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    raw = mne.io.read_raw_fif(folder / "facetpy_raw.fif", verbose="error")
    channels = read_eeg(planned.recording).channels
    n_slices = read_bold_header(planned.recording.bold, planned.recording.bold_metadata).slice_groups
    cleaned = downsample(raw, channels, lowest_sfreq=LOWEST_SFREQ)
    return json.loads(told.splitlines()[-1]) | judge(cleaned, folder, planned.alignment, n_slices)


METHODS = {"bids_eeg2fmri": with_ours, "bids_eeg2fmri, loops": with_loops, "mne": with_mne}


def plan(dataset: Path):
    from bids_eeg2fmri.workflow.plan import plan_participant

    [planned] = plan_participant(dataset, "01")
    return planned


def measure(method: str, folder: Path) -> dict:
    """Clean the raw file; compare it with the EEG as it was simulated."""
    from bids_eeg2fmri.bids.reading import read_eeg
    from bids_eeg2fmri.bids.reading.bold import read_bold_header

    planned = plan(folder / "raw")
    eeg, alignment = read_eeg(planned.recording), planned.alignment
    n_slices = read_bold_header(planned.recording.bold, planned.recording.bold_metadata).slice_groups
    import mne.preprocessing  # not counted: its import is lazy

    mne.preprocessing.apply_pca_obs  # noqa: B018
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak of whoever started this process
    started = time.perf_counter()
    cleaned = METHODS[method](eeg, alignment, n_slices)
    seconds = time.perf_counter() - started
    status = Path("/proc/self/status").read_text()
    peak_mb = int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1e3
    return {"s": seconds, "peak MB": peak_mb} | judge(cleaned, folder, alignment, n_slices)


def judge(cleaned, folder: Path, alignment, n_slices: int) -> dict:
    from scipy.signal import butter, sosfiltfilt

    from bids_eeg2fmri.bids.reading import read_eeg
    from bids_eeg2fmri.eeg.downsampling import downsample
    from bids_eeg2fmri.eeg.gradient import in_step

    inner = slice(16, len(alignment.onsets_s) - 16)  # MNE leaves the first and last volumes of its window as they are
    sections = butter(3, (1, 40), "bandpass", fs=LOWEST_SFREQ, output="sos")
    tables = {}
    for name in ("raw", "clean"):
        eeg = read_eeg(plan(folder / name).recording)
        tables[name] = downsample(eeg.raw, eeg.channels, lowest_sfreq=LOWEST_SFREQ)
    tables["cleaned"] = cleaned.of(tables["raw"].channels)
    harmonic, volumes = {}, {}
    for name, signals in tables.items():
        locked, first = in_step(signals, onset_s=float(alignment.onsets_s[0]), tr_s=alignment.tr_s)
        n = round(alignment.tr_s * locked.sfreq)
        data = sosfiltfilt(sections, locked.data)[:, -first : -first + len(alignment.onsets_s) * n]
        volumes[name] = data.reshape(len(data), -1, n)[:, inner]
        power = np.abs(np.fft.rfft(volumes[name].reshape(len(data), -1))) ** 2
        for what, parts in (("volume", 1), ("slice", n_slices)):
            harmonics = np.arange(parts, int(40 * alignment.tr_s), parts)
            harmonic[name, what] = power[:, harmonics[harmonics > 2 * alignment.tr_s] * volumes[name].shape[1]].sum(1)
    r = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(volumes["cleaned"], volumes["clean"], strict=True)]
    told = {"r median": float(np.median(r)), "r worst": float(np.min(r))}
    for what in ("volume", "slice"):
        told[f"{what} dB"] = float(np.median(10 * np.log10(harmonic["cleaned", what] / harmonic["raw", what])))
    beats_s = np.loadtxt(next((folder / "raw_truth").glob("*_heart.tsv")), skiprows=1)
    locked_to = {}
    for name, signals in tables.items():
        data = sosfiltfilt(sections, signals.data)
        where = np.rint((beats_s - signals.start_s) * signals.sfreq).astype(int)
        low, high = (float(alignment.onsets_s[k]) * signals.sfreq for k in (16, -16))
        where = where[(where > low) & (where < high)][:, None] + np.arange(int(0.7 * signals.sfreq))
        locked_to[name] = np.median([of[where].mean(0).var() for of in data])
    told["heartbeat variance left %"] = float(100 * locked_to["cleaned"] / locked_to["raw"])
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--channels", type=int, default=64, help="ECG included")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--pulse", type=float, default=100.0, help="height in uV")
    parser.add_argument("--motion", type=float, default=0.0, help="largest of the head's jerks in uV")
    parser.add_argument("--wires", type=int, default=0, help="loops of carbon wire")
    parser.add_argument("--facetpy", metavar="PYTHON", help="interpreter of an environment with facetpy")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure[0], Path(options.measure[1]))))
        return
    from bids_eeg2fmri.testing.simulate import Simulation, simulate_dataset

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        common = COMMON | {"n_channels": options.channels, "duration_s": 60 * options.minutes}
        artefacts = {"gradient_uv": 10_000.0, "pulse_uv": options.pulse, "motion_uv": options.motion}
        simulate_dataset(folder / "raw", Simulation(**common, **artefacts, n_wires=options.wires, sfreq=5000.0))
        simulate_dataset(folder / "clean", Simulation(**common, sfreq=1000.0))
        rows = {}
        for method in METHODS if options.wires else ("bids_eeg2fmri", "mne"):
            command = [sys.executable, __file__, "--measure", method, name]
            told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            rows[method] = json.loads(told.splitlines()[-1])  # MNE prints as well
        if options.facetpy:
            rows["facetpy"] = measure_facetpy(options.facetpy, folder)
    minutes = options.minutes + (COMMON["lead_s"] + 10) / 60
    names = list(rows["mne"])
    print(f"| method | {' | '.join(names)} | s per recorded minute |\n|---|{'---|' * (len(names) + 1)}")
    for method, row in rows.items():
        cells = [f"{row[name]:.3f}" if name.startswith("r ") else f"{row[name]:.1f}" for name in names]
        print(f"| {method} | {' | '.join(cells)} | {row['s'] / minutes:.2f} |")


if __name__ == "__main__":
    main()

"""Time the dry run on a dataset of real size: files as large as scanners write them, but holes on the disk.

``python benchmarks/dry_run.py [--participants 200] [--runs 4]``
"""

import argparse
import gzip
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nibabel as nib
import numpy as np

N_VOLUMES, TR_S, SFREQ, N_CHANNELS = 300, 2.0, 5000, 64


def write_dataset(dataset: Path, n_participants: int, n_runs: int) -> None:
    """Write recordings of 10 min: 64 channels at 5 kHz, 64 x 64 x 30 voxels, 300 volumes, a marker for each and stimuli."""
    dataset.mkdir()
    (dataset / "dataset_description.json").write_text('{"Name": "Empty", "BIDSVersion": "1.10.0"}')
    (dataset / "task-rest_bold.json").write_text('{"TaskName": "rest", "RepetitionTime": 2.0}')
    (dataset / "task-rest_eeg.json").write_text(
        '{"TaskName": "rest", "SamplingFrequency": 5000, "EEGReference": "FCz"}'
    )
    image = nib.Nifti1Image(np.zeros((64, 64, 30, N_VOLUMES), np.int16), np.eye(4))
    image.header.set_zooms((3, 3, 4, TR_S))
    image.header.set_xyzt_units("mm", "sec")
    stored = gzip.compress(image.to_bytes(), 1)
    names = [f"E{i + 1}" for i in range(N_CHANNELS - 1)] + ["ECG"]
    channels = "name\ttype\tunits\n" + "".join(f"{n}\t{'ECG' if n == 'ECG' else 'EEG'}\tuV\n" for n in names)
    rng = np.random.default_rng(0)
    for p in range(n_participants):
        for run in range(n_runs):
            stem = f"sub-{p + 1:03}_task-rest_run-{run + 1}"
            eeg, func = dataset / f"sub-{p + 1:03}/eeg", dataset / f"sub-{p + 1:03}/func"
            eeg.mkdir(parents=True, exist_ok=True)
            func.mkdir(exist_ok=True)
            first = int(rng.integers(20_000, 100_000))
            marks = [("Response", "R128", first + round(i * TR_S * SFREQ)) for i in range(N_VOLUMES)]
            marks += [("Stimulus", "S  1", first + int(at)) for at in rng.integers(0, 3_000_000, 60)]
            marks.sort(key=lambda mark: mark[2])
            (eeg / f"{stem}_eeg.vmrk").write_text(
                "Brain Vision Data Exchange Marker File, Version 1.0\n\n[Common Infos]\nCodepage=UTF-8\n"
                f"DataFile={stem}_eeg.eeg\n\n[Marker Infos]\nMk1=New Segment,,1,1,0,20130410102544704278\n"
                + "".join(f"Mk{i + 2}={kind},{code},{at},1,0\n" for i, (kind, code, at) in enumerate(marks))
            )
            (eeg / f"{stem}_eeg.vhdr").write_text(
                "Brain Vision Data Exchange Header File Version 1.0\n\n[Common Infos]\nCodepage=UTF-8\n"
                f"DataFile={stem}_eeg.eeg\nMarkerFile={stem}_eeg.vmrk\nDataFormat=BINARY\nDataOrientation=MULTIPLEXED\n"
                f"NumberOfChannels={N_CHANNELS}\nSamplingInterval={1e6 / SFREQ:g}\n\n[Binary Infos]\nBinaryFormat=INT_16\n\n"
                "[Channel Infos]\n" + "".join(f"Ch{i + 1}={name},,0.5,µV\n" for i, name in enumerate(names)),
                encoding="utf-8",
            )
            with (eeg / f"{stem}_eeg.eeg").open("wb") as hole:
                hole.truncate(2 * N_CHANNELS * (first + round((N_VOLUMES + 3) * TR_S * SFREQ)))
            (eeg / f"{stem}_channels.tsv").write_text(channels)
            (func / f"{stem}_bold.nii.gz").write_bytes(stored)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--participants", type=int, default=200)
    parser.add_argument("--runs", type=int, default=4)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    try:
        dataset = folder / "dataset"
        write_dataset(dataset, options.participants, options.runs)
        command = [sys.executable, "-m", "bids_eeg2fmri", dataset, folder / "out", "participant", "--dry-run"]
        for attempt in ("first", "second"):
            started = time.perf_counter()
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            took = time.perf_counter() - started
            table = [line.split("\t") for line in done.stdout.splitlines()[1:]]
            paired = sum(line[1] == "paired" for line in table)
            print(f"{attempt}: {took:.1f} s, {len(table)} recordings, {paired} paired")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()

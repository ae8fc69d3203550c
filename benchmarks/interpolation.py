"""How like what was recorded is what is interpolated, by the distance of the nearest electrode?

    python benchmarks/interpolation.py [--participants N]

Simulated EEG of 63 electrodes, 60 s each. Twelve times, 16 to 52 electrodes of each recording are kept, at random or far from a
place, and the others are interpolated. r: 1 to 40 Hz, both in the average reference of all 63.
"""

import argparse
import tempfile
from itertools import pairwise
from pathlib import Path

import mne
import numpy as np
from scipy.signal import butter, sosfiltfilt

from bids_eeg2fmri.eeg.bad_channels import BAND_HZ
from bids_eeg2fmri.eeg.downsampling import downsample
from bids_eeg2fmri.eeg.electrodes import distance_mm, place_channels
from bids_eeg2fmri.eeg.montage import Wanted, bring_to, fit_montage
from bids_eeg2fmri.testing.simulate import Simulation, simulate_dataset

KEPT = (16, 19, 24, 31, 40, 52)
EDGES_MM = (0, 26, 35, 40, 45, 50, 60, 80)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--participants", type=int, default=6)
    options = parser.parse_args()
    dataset = Path(tempfile.mkdtemp(prefix="interpolation_"), "dataset")
    simulation = Simulation(0, options.participants, tasks=("rest",), duration_s=60.0, n_channels=64, grid=(12, 14, 11))
    simulate_dataset(dataset, simulation)
    rng = np.random.default_rng(0)
    rows: list[tuple[float, float]] = []
    for path in sorted(dataset.rglob("*_eeg.vhdr")):
        raw = mne.io.read_raw_brainvision(path, verbose="error")
        signals = downsample(raw, raw.ch_names[:-1])
        names, places = signals.channels, place_channels(signals.channels, [None] * 63).positions_m
        sections = butter(2, BAND_HZ, "bandpass", fs=signals.sfreq, output="sos")
        average = signals.data.mean(0)
        truth = sosfiltfilt(sections, signals.data - average, axis=1)
        for draw in range(12):
            n = rng.choice(KEPT)
            middle = rng.integers(63)
            away = rng.random(63) if draw % 2 else np.array([distance_mm(places[middle], xyz) for xyz in places])
            bad = [names[i] for i in np.argsort(away)[:-n]]
            wanted = Wanted.of(names)
            fit = fit_montage(wanted, names, places, bad)
            made = sosfiltfilt(sections, bring_to(signals, fit, wanted, places, bad).data - average, axis=1)
            for name, mm in fit.distances_mm.items():
                row = names.index(name)
                rows.append((mm, np.corrcoef(truth[row], made[row])[0, 1]))
    mm, r = np.array(rows).T
    print("| nearest electrode, mm | channels | r, median | r, lowest tenth below |\n|---|---|---|---|")
    for low, high in pairwise(EDGES_MM):
        inside = r[(mm >= low) & (mm < high)]
        print(f"| {low} to {high} | {len(inside)} | {np.median(inside):.2f} | {np.percentile(inside, 10):.2f} |")


if __name__ == "__main__":
    main()

"""Does a model trained with one cap work on EEG that was recorded with another?

    python benchmarks/montages.py [--one-peak] [--trained-on N] [--applied-to N] [--seed N]

For each cap a model is trained on the participants of one simulated dataset. The participant level then applies it to other people
who wore each of the caps: their brains and BOLD are the same under all of them. What is compared is r under another cap with
r under the model's own.
"""

import argparse
import re
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from bids_eeg2fmri.bids.derivatives import Derivatives
from bids_eeg2fmri.config import EvaluationSettings, Settings
from bids_eeg2fmri.eeg.spectrum import relative_to_mean
from bids_eeg2fmri.errors import ModelError
from bids_eeg2fmri.testing.simulate import CAP, Simulation, simulate_dataset
from bids_eeg2fmri.training.engine import start_engine
from bids_eeg2fmri.workflow.account import Task
from bids_eeg2fmri.workflow.eeg import Sampling
from bids_eeg2fmri.workflow.participant import process_participant
from bids_eeg2fmri.workflow.plan import plan_participant
from bids_eeg2fmri.workflow.preparation import on_common_ground, prepare
from bids_eeg2fmri.workflow.progress import Dashboard
from bids_eeg2fmri.workflow.training import train_on_all

# Channels with the ECG, and which electrodes: 31 of the first cap are the second's, none of the third's are.
TRAINED = {"63 + ECG": (64, "usual"), "31 + ECG": (32, "usual"), "31 others + ECG": (32, "between")}
# Nobody trains with these: the 19 of the 10-20 system, and 11 of them that leave the temples and the middle out.
APPLIED = TRAINED | {"19 + ECG": (20, "usual"), "11 + ECG": (12, "usual")}
# What a montage is worth: every electrode under the name of another one.
SHUFFLED = "31 + ECG, shuffled"
SETTINGS = Settings(evaluation=EvaluationSettings(n_shifts=100, n_surrogates=19))


def simulate(folder: Path, cap: str, *, n_participants: int, seed: int, one_peak: bool) -> list[str]:
    """Simulate people who wear a cap; give their labels."""
    n_channels, kind = APPLIED["31 + ECG" if cap == SHUFFLED else cap]
    options = {"n_channels": n_channels, "cap": kind, "tasks": ("rest",), "grid": (20, 24, 19), "seed": seed}
    simulate_dataset(folder, Simulation(n_participants, one_peak=one_peak, **options))
    if cap == SHUFFLED:
        for path in [*folder.rglob("*_eeg.vhdr"), *folder.rglob("*_electrodes.tsv")]:
            path.unlink() if path.suffix == ".tsv" else shuffle_names(path)
    return [f"{i + 1:02d}" for i in range(n_participants)]


def shuffle_names(header: Path) -> None:
    others = dict(zip(CAP, np.random.default_rng(0).permutation(CAP), strict=True))
    text = header.read_text()
    header.write_text(re.sub(r"^(Ch\d+=)(\w+)", lambda ch: ch[1] + others.get(ch[2], ch[2]), text, flags=re.MULTILINE))


def train(dataset: Path, subjects: list[str], bundle: Path) -> None:
    """Save a model of all participants, which sees power relative to its mean as that of the group level does."""
    sampling = Sampling.by_settings(SETTINGS)
    runs = [prepare(plan_participant(dataset, subject)[0], sampling, SETTINGS) for subject in subjects]
    runs = [replace(run, spectrum=relative_to_mean(run.spectrum)) for run in on_common_ground(runs)[0]]
    synthesizer, _ = train_on_all(runs, SETTINGS, seed=0, card={"relative_power": True})
    synthesizer.save(bundle)


def apply(dataset: Path, subjects: list[str], output: Path, bundle: Path) -> tuple[list[float], dict]:
    """Pooled r of each participant, and what is told of the montage; nothing where the model refuses it."""
    derivatives = Derivatives(output, dataset)
    derivatives.create()
    with Dashboard(len(subjects)) as dashboard:
        for subject in subjects:
            try:
                task = Task(dataset, derivatives, SETTINGS, bundle=bundle)
                process_participant(task, subject, dashboard.begin(f"sub-{subject}"))
            except ModelError:
                return [], {}
    summaries = derivatives.read_summaries()
    return [s["scores"][0]["pooled_r"] for s in summaries], summaries[0]["recordings"][0]["montage"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--one-peak", action="store_true", help="nothing but their place tells rhythms apart")
    parser.add_argument("--trained-on", type=int, default=4)
    parser.add_argument("--applied-to", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    start_engine(seed=options.seed, n_cpus=1, device="cpu")
    work = Path(tempfile.mkdtemp(prefix="montages_"))
    people = {}
    for i, cap in enumerate([*APPLIED, SHUFFLED]):
        folder = work / f"people_{i}"
        people[cap] = (
            folder,
            simulate(
                folder, cap, n_participants=options.applied_to, seed=options.seed + 1000, one_peak=options.one_peak
            ),
        )
    print("| model of | people with | interpolated | covered % | farthest mm | r | of its own % |")
    print("|---|---|---|---|---|---|---|")
    for i, of in enumerate(TRAINED):
        dataset, bundle = work / f"train_{i}", work / f"model_{i}"
        wearing = {"n_participants": options.trained_on, "seed": options.seed, "one_peak": options.one_peak}
        train(dataset, simulate(dataset, of, **wearing), bundle)
        own = np.nan
        for j, cap in sorted(enumerate(people), key=lambda item: item[1] != of):
            r, montage = apply(*people[cap], work / f"applied_{i}_{j}", bundle)
            if not r:
                print(f"| {of} | {cap} | | | | refused | |", flush=True)
                continue
            own = np.mean(r) if cap == of else own
            distances = montage["distances_mm"].values()
            print(
                f"| {of} | {cap} | {len(distances)} | {100 * montage['covered']:.0f} | {max(distances, default=0):.0f} | "
                f"{np.mean(r):.3f} ({min(r):.3f} to {max(r):.3f}) | {100 * np.mean(r) / own:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()

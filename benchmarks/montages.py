"""Does a model trained with one cap work on EEG that was recorded with another?

    python benchmarks/montages.py [--trained-on N] [--applied-to N] [--seed N]

For each cap a dataset is simulated, both levels run on it, and the group's model is kept. It is then applied to other people, who
wore each of the caps: their brains and BOLD are the same under all of them. What is compared is r under another cap with
r under the model's own.
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np

from bids_eeg2fmri.cli import main as run
from bids_eeg2fmri.testing.simulate import Simulation, simulate_dataset

# Channels with the ECG, and which electrodes: 31 of the first cap are the second's, none of the third's are.
TRAINED = {"63 + ECG": (64, "usual"), "31 + ECG": (32, "usual"), "31 others + ECG": (32, "between")}
# Nobody trains with these: the 19 of the 10-20 system, and 11 of them that leave the temples and the middle out.
APPLIED = TRAINED | {"19 + ECG": (20, "usual"), "11 + ECG": (12, "usual")}


def simulate(folder: Path, cap: str, *, n_participants: int, seed: int) -> Path:
    n_channels, kind = APPLIED[cap]
    simulate_dataset(folder, Simulation(n_participants, n_channels=n_channels, cap=kind, grid=(20, 24, 19), seed=seed))
    return folder


def apply(dataset: Path, output: Path, bundle: Path) -> tuple[list[float], dict]:
    """Pooled r of each participant, and what is told of the montage; nothing where the model refuses it."""
    if run([str(dataset), str(output), "participant", "--model", str(bundle)]):
        return [], {}
    summaries = [json.loads(path.read_text()) for path in sorted(output.glob("sub-*/sub-*_summary.json"))]
    return [s["scores"][0]["pooled_r"] for s in summaries], summaries[0]["recordings"][0]["montage"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--trained-on", type=int, default=4)
    parser.add_argument("--applied-to", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="montages_"))
    people = {
        cap: simulate(work / f"people_{i}", cap, n_participants=options.applied_to, seed=options.seed + 1000)
        for i, cap in enumerate(APPLIED)
    }
    print("| model of | people with | interpolated | covered % | farthest mm | r | of its own % |")
    print("|---|---|---|---|---|---|---|")
    for i, of in enumerate(TRAINED):
        dataset = simulate(work / f"train_{i}", of, n_participants=options.trained_on, seed=options.seed)
        trained = work / f"trained_{i}"
        for level in ("participant", "group"):
            if run([str(dataset), str(trained), level]):
                raise SystemExit("the run failed")
        own = np.nan
        for j, cap in sorted(enumerate(people), key=lambda item: item[1] != of):
            r, montage = apply(people[cap], work / f"applied_{i}_{j}", trained / "models" / "group")
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

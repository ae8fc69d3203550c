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
CAPS = {"63 + ECG": (64, "usual"), "31 + ECG": (32, "usual"), "31 others + ECG": (32, "between")}


def simulate(folder: Path, cap: str, *, n_participants: int, seed: int, electrodes: bool = True) -> Path:
    n_channels, kind = CAPS[cap]
    simulate_dataset(folder, Simulation(n_participants, n_channels=n_channels, cap=kind, grid=(20, 24, 19), seed=seed))
    if not electrodes:
        for path in folder.rglob("*_space-CapTrak_*"):
            path.unlink()
    return folder


def apply(dataset: Path, output: Path, bundle: Path) -> tuple[list[float], list[dict]]:
    """Pooled r of each participant, and what is told of their montages."""
    if run([str(dataset), str(output), "participant", "--model", str(bundle)]):
        raise SystemExit("the run failed")
    summaries = [json.loads(path.read_text()) for path in sorted(output.glob("sub-*/sub-*_summary.json"))]
    return [s["scores"][0]["pooled_r"] for s in summaries], [s["recordings"][0]["montage"] for s in summaries]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--trained-on", type=int, default=4)
    parser.add_argument("--applied-to", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="montages_"))
    people = {
        (cap, electrodes): simulate(
            work / f"people_{number}_{electrodes}",
            cap,
            n_participants=options.applied_to,
            seed=options.seed + 1000,
            electrodes=electrodes,
        )
        for number, cap in enumerate(CAPS)
        for electrodes in (True, False)
    }
    print("| model of | people with | electrodes.tsv | interpolated | covered % | farthest mm | r | of its own % |")
    print("|---|---|---|---|---|---|---|---|")
    for number, of in enumerate(CAPS):
        dataset = simulate(work / f"train_{number}", of, n_participants=options.trained_on, seed=options.seed)
        trained = work / f"trained_{number}"
        for level in ("participant", "group"):
            if run([str(dataset), str(trained), level]):
                raise SystemExit("the run failed")
        own = np.nan
        for cap, electrodes in sorted(people, key=lambda one: (one[0] != of, not one[1])):
            output = work / f"applied_{number}_{list(people).index((cap, electrodes))}"
            r, montages = apply(people[cap, electrodes], output, trained / "models" / "group")
            own = np.mean(r) if cap == of and electrodes else own
            distances = list(montages[0]["distances_mm"].values())
            share = 100 * np.mean(r) / own
            print(
                f"| {of} | {cap} | {'yes' if electrodes else 'no'} | {len(distances)} | {100 * montages[0]['covered']:.0f} | "
                f"{max(distances, default=0):.0f} | {np.mean(r):.3f} ({min(r):.3f} to {max(r):.3f}) | {share:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()

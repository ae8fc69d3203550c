"""Correlation found where it was simulated, and where it was not: the default dataset and its null twin.

python benchmarks/known_answer.py [--participants N] [--seed N]
"""

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np

from bids_eeg2fmri.cli import main as run
from bids_eeg2fmri.testing.simulate import Simulation, simulate_dataset


def medians(truth: Path, output: Path, subject: str) -> list[float]:
    """Median r and ceiling over coupled voxels, median r and its mean size outside; over the runs of a participant."""
    rows = []
    for path in sorted((output / f"sub-{subject}").rglob("*_desc-synth_statmap.nii.gz")):
        stem = path.name.removesuffix("_desc-synth_statmap.nii.gz")
        inside = np.asarray(nib.load(path.with_name(f"{stem}_desc-brain_mask.nii.gz")).dataobj) > 0
        r = np.asarray(nib.load(path).dataobj)[inside]
        coupled = (np.asarray(nib.load(truth / "regions.nii.gz").dataobj) > 0)[inside]
        ceiling = np.asarray(nib.load(truth / f"{stem}_ceiling.nii.gz").dataobj)[inside]
        rows.append([np.median(r[coupled]), np.median(ceiling[coupled]), np.median(r[~coupled])])
    return np.mean(rows, axis=0).tolist()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--participants", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    simulation = Simulation(n_participants=options.participants, seed=options.seed)
    print("| dataset | participant | r coupled | ceiling | r outside | verdict |\n|---|---|---|---|---|---|")
    for name, dataset in (("coupled", simulation), ("null", replace(simulation, coupling=0.0))):
        work = Path(tempfile.mkdtemp(prefix=f"{name}_"))
        truth = simulate_dataset(work / "dataset", dataset)
        for level in ("participant", "group"):
            if run([str(work / "dataset"), str(work / "out"), level]):
                raise SystemExit("the run failed")
        for i in range(options.participants):
            subject = f"{i + 1:02d}"
            r, ceiling, outside = medians(truth, work / "out", subject)
            summary = json.loads((work / "out" / f"sub-{subject}" / f"sub-{subject}_summary.json").read_text())
            headline = summary["verdict"]["headline"]
            print(f"| {name} | {subject} | {r:.2f} | {ceiling:.2f} | {outside:.2f} | {headline} |")
        group = json.loads((work / "out" / "group_summary.json").read_text())
        print(f"| {name} | group | | | | {group['verdict']['headline']} |", flush=True)


if __name__ == "__main__":
    main()

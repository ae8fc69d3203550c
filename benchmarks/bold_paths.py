"""Scores by the way that the BOLD came: still, moved, realigned, normalized, or as fMRIPrep would have made it.

python benchmarks/bold_paths.py [--participants N] [--duration S] [--motion MM]
"""

import argparse
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from bids_eeg2fmri.cli import main as run
from bids_eeg2fmri.testing.simulate import Simulation, simulate_dataset

TEMPLATE = ["--output-spaces", "MNI152NLin2009aAsym"]
# Name, whether heads move and differ, settings, further arguments.
PATHS = (
    ("nobody moves, one brain for all, as recorded", False, "", []),
    ("as recorded, motion left", True, 'preprocessed = "never"\nrealign = "never"', []),
    ("as recorded, realigned", True, 'preprocessed = "never"', []),
    ("the same, motion among the confounds", True, 'preprocessed = "never"\nconfounds = "simple"', []),
    ("as recorded, realigned, normalized", True, 'preprocessed = "never"\nresolution_mm = 6', TEMPLATE),
    (
        "the same, motion among the confounds",
        True,
        'preprocessed = "never"\nconfounds = "simple"\nresolution_mm = 6',
        TEMPLATE,
    ),
    ("fMRIPrep's, found by itself", True, "", []),
    ("the same, confounds by nilearn's simple strategy", True, 'confounds = "simple"', []),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--participants", type=int, default=3)
    parser.add_argument("--duration", type=float, default=300.0)
    parser.add_argument("--motion", type=float, default=1.0, help="of the heads, in mm")
    options = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="bold_paths_"))
    still = Simulation(
        n_participants=options.participants,
        duration_s=options.duration,
        tasks=("rest",),
        n_unsteady=3,
        grid=(32, 38, 30),
    )
    moved = replace(still, anatomy_mm=3.0, motion_mm=options.motion, with_fmriprep=True)
    simulate_dataset(work / "still", still)
    simulate_dataset(work / "moved", moved)
    print("| BOLD | space | r over the brain | r of the best 5 % of voxels | transfer to others | s per participant |")
    print("|---|---|---|---|---|---|")
    for number, (name, moves, bold, arguments) in enumerate(PATHS):
        settings = work / f"{number}.toml"
        settings.write_text(f"[bold]\n{bold}\n")
        dataset, output = work / ("moved" if moves else "still"), work / f"out{number}"
        started = time.perf_counter()
        if run([str(dataset), str(output), "participant", "--config-file", str(settings), *arguments]):
            raise SystemExit("the participant level failed")
        seconds = (time.perf_counter() - started) / options.participants
        run([str(output), str(output), "group", "--config-file", str(settings), "--skip-bids-validation"])
        summaries = [json.loads(path.read_text()) for path in sorted(output.glob("sub-*/sub-*_summary.json"))]
        first = [summary["scores"][0] for summary in summaries]
        r, best = (sum(row[key] for row in first) / len(first) for key in ("pooled_r", "voxel_r_95"))
        group = output / "group_summary.json"
        transfer = json.loads(group.read_text())["transfer"].get("mean_r") if group.exists() else None
        others = "-" if transfer is None else f"{transfer:.3f}"
        space = summaries[0]["recordings"][0]["bold_done"]["space"]
        print(f"| {name} | {space} | {r:.3f} | {best:.3f} | {others} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()

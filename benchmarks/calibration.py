"""Are p-values uniform where there is nothing, are verdicts right where there is something, is a constant image found out?

    python benchmarks/calibration.py [--null N] [--coupled N] [--processes N] [--table FILE]

Each simulation is a participant of its own. Null: one run of 300 s, 11 channels, 12 x 14 x 11 voxels, coupling 0. Coupled: the
default simulation, two runs of 300 s, 31 channels, 32 x 38 x 30 voxels. The whole participant level runs on each, but for its page.
Each participant is also given two predictors that know anatomy only: an image that stays the same, and one that differs
from volume to volume by as little as published collapsed models do.
"""

import argparse
import json
import multiprocessing
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

NULL_SEED, COUPLED_SEED = 20_000, 50_000


def simulate_and_run(task: tuple[str, int]) -> dict:
    """Run the participant level on one simulation; give what it concludes."""
    kind, seed = task
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = "1"
    from bids_eeg2fmri.training.engine import start_engine

    start_engine(seed=0, n_cpus=1, device="cpu")
    from bids_eeg2fmri.bids.derivatives import Derivatives
    from bids_eeg2fmri.config import Settings
    from bids_eeg2fmri.testing.simulate import Simulation, simulate_dataset
    from bids_eeg2fmri.workflow.account import Task
    from bids_eeg2fmri.workflow.participant import process_participant
    from bids_eeg2fmri.workflow.progress import Dashboard

    simulation = Simulation(n_participants=1, seed=seed)
    if kind == "null":
        simulation = Simulation(
            n_participants=1, tasks=("rest",), n_channels=12, grid=(12, 14, 11), coupling=0.0, seed=seed
        )
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        dataset, output = Path(folder, "dataset"), Path(folder, "out")
        simulate_dataset(dataset, simulation)
        derivatives = Derivatives(output, dataset)
        derivatives.create()
        with Dashboard(1) as dashboard:
            process_participant(Task(dataset, derivatives, Settings()), "01", dashboard.begin("sub-01"))
        summary = json.loads((output / "sub-01" / "sub-01_summary.json").read_text())
        constant = judge_constant_images(derivatives, summary)
    verdict = summary["verdict"]
    others = {other["kind"]: other["p"] for other in summary["chance"]["others"]}
    ridge = next(row for row in summary["scores"] if row["kind"] == "linear")
    return {
        "kind": kind,
        "seed": seed,
        "p": summary["chance"]["p"],
        "p_phases": others.get("phase-randomized EEG", np.nan),
        "p_other_run": others.get("EEG of another run", np.nan),
        "p_region": min(region["p"] for region in summary["regions"]),
        "share_significant": summary["scores"][0]["share_significant"],
        "pooled_r": summary["scores"][0]["pooled_r"],
        "ridge_r": ridge["pooled_r"],
        "chance_r": summary["chance"]["pooled_r"],
        "learned_from": summary["chance"]["learned_from"],
        "amplitude": summary["scores"][0]["amplitude"],
        "better_than_chance": verdict["better_than_chance"],
        "better_than_baselines": verdict["better_than_baselines"],
        "collapsed": verdict["collapsed"],
        "seconds": time.perf_counter() - started,
    } | constant


def judge_constant_images(derivatives, summary) -> dict:
    """Judge predictors of anatomy only by the samples that the participant level left."""
    from bids_eeg2fmri.bold.grid import Grid
    from bids_eeg2fmri.bold.regions import tile_regions
    from bids_eeg2fmri.config import Settings
    from bids_eeg2fmri.evaluation.published import calhas2022
    from bids_eeg2fmri.workflow.scoring import score
    from bids_eeg2fmri.workflow.verdict import judge

    arrays = [
        derivatives.read_samples(entry["files"]["samples"], only=("change", "baseline", "mask", "affine", "tr_s"))
        for entry in summary["recordings"]
    ]
    regions = tile_regions(Grid(arrays[0]["mask"], arrays[0]["affine"]))
    rng = np.random.default_rng(0)
    found = {}
    for name, spread in (("constant", 0.0), ("nearly_constant", 0.002)):
        scores = score(
            [a["change"] for a in arrays],
            {
                name: [spread * rng.standard_normal(a["change"].shape).astype(np.float32) for a in arrays],
                "mean image": [np.zeros_like(a["change"]) for a in arrays],
            },
            [np.zeros(len(a["change"]), dtype=int) for a in arrays],
            tr_s=[float(a["tr_s"]) for a in arrays],
            regions=regions,
            settings=Settings(),
            seed=0,
        )
        verdict = judge(scores, regions, alpha=0.05)
        found |= {
            f"{name}_collapsed": verdict["collapsed"],
            f"{name}_praised": bool(verdict["better_than_chance"] or verdict["better_than_baselines"]),
            f"{name}_skill": scores.table.pooled_skill.iloc[0],
        }
    first = arrays[0]
    grid = Grid(first["mask"], first["affine"])
    measured = grid.array((first["baseline"] * (1 + first["change"] / 100))[::15])
    anatomy = grid.array(np.broadcast_to(first["baseline"], first["change"].shape)[::15])
    return found | {"constant_ssim": calhas2022(measured, anatomy)["SSIM"]}


def report(table: pd.DataFrame) -> None:
    from scipy.stats import kstest

    null, coupled = (table[table.kind == kind] for kind in ("null", "coupled"))
    print("| what | wanted | seen |\n|---|---|---|")
    for column, words in (
        ("p", "shifts in time"),
        ("p_phases", "random phases"),
        ("p_region", "shifts, best region of all"),
    ):
        if len(null):
            p = null[column]
            shares = ", ".join(f"< {limit:g}: {100 * np.mean(p < limit):.1f} %" for limit in (0.05, 0.1, 0.2, 0.5, 0.9))
            ks = kstest(p, "uniform").pvalue
            print(f"| null: p by {words}, Kolmogorov-Smirnov | p > 0.01 | p = {ks:.3f} ({shares}) |")
    if len(null):
        limit = 0.05 + 2 * np.sqrt(0.05 * 0.95 / len(null))
        chance, blind = (null[column].astype(bool) for column in ("better_than_chance", "better_than_baselines"))
        print(f"| null: better than chance | at most {100 * limit:.1f} % | {100 * chance.mean():.1f} % |")
        print(f"| null: larger skill than the best baseline, whatever p | | {100 * blind.mean():.1f} % |")
        print(f"| null: headline better than chance and baselines | | {100 * (chance & blind).mean():.1f} % |")
        voxels = 100 * (null.share_significant > 0).mean()
        print(f"| null: participants with a voxel above chance (FDR) | at most {100 * limit:.1f} % | {voxels:.1f} % |")
    if len(coupled):
        both = coupled.better_than_chance.astype(bool) & coupled.better_than_baselines.astype(bool)
        print(f"| coupled: better than chance | at least 95 % | {100 * coupled.better_than_chance.mean():.1f} % |")
        print(f"| coupled: better than chance and baselines | | {100 * both.mean():.1f} % |")
        print(
            f"| coupled: r over the brain, network and ridge | | {coupled.pooled_r.mean():.3f}, {coupled.ridge_r.mean():.3f} |"
        )
    for name in ("constant", "nearly_constant"):
        words = name.replace("_", " ")
        print(f"| {words} image: called collapsed | 100 % | {100 * table[f'{name}_collapsed'].mean():.1f} % |")
        print(f"| {words} image: praised | 0 % | {100 * table[f'{name}_praised'].mean():.1f} % |")
        skill = table[f"{name}_skill"]
        print(f"| {words} image: skill, smallest and largest | about 0 | {skill.min():.6f}, {skill.max():.6f} |")
    print(f"| constant image: SSIM, smallest | | {table.constant_ssim.min():.4f} |")
    by_kind = table.groupby("kind").seconds.median().round(1).to_dict()
    print(f"\nMedian seconds of a simulation: {by_kind}; models learned from half as much in "
          f"{100 * (table.learned_from < 1).mean():.0f} % of them.")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--null", type=int, default=200)
    parser.add_argument("--coupled", type=int, default=50)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--table", type=Path, help="write a row per simulation as they come, and go on from there")
    options = parser.parse_args()
    tasks = [("null", NULL_SEED + i) for i in range(options.null)]
    tasks += [("coupled", COUPLED_SEED + i) for i in range(options.coupled)]
    rows: list[dict] = []
    if options.table and options.table.exists():
        rows = pd.read_csv(options.table, sep="\t", keep_default_na=False, na_values=[""]).to_dict("records")
    done = {(row["kind"], row["seed"]) for row in rows}
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
        for row in pool.imap_unordered(simulate_and_run, [task for task in tasks if task not in done]):
            rows.append(row)
            if options.table:
                pd.DataFrame(rows).to_csv(options.table, sep="\t", index=False)
    report(pd.DataFrame(rows).sort_values(["kind", "seed"]))


if __name__ == "__main__":
    main()

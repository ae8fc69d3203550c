"""Seconds and peak memory of each stage of the participant level, at the size of real recordings.

64 channels x 10 min x 5 kHz EEG and 64 x 64 x 30 x 300 BOLD by default. ``--max-epochs 1`` leaves deep training out.

    python benchmarks/stages.py [--max-epochs N] [--dataset FOLDER]
"""

import argparse
import importlib
import os
import resource
import sys
import tempfile
import threading
import time
from pathlib import Path

STAGES = {
    "find, pair and align": ("bids_eeg2fmri.workflow.participant", "plan_participant"),
    "open EEG, markers": ("bids_eeg2fmri.workflow.eeg", "read_eeg"),
    "read BOLD": ("bids_eeg2fmri.workflow.bold", "read_bold"),
    "mask": ("bids_eeg2fmri.workflow.bold", "brain_mask"),
    "read and downsample EEG": ("bids_eeg2fmri.workflow.eeg", "downsample"),
    "artefacts of the scanner": ("bids_eeg2fmri.workflow.eeg", "remove_scanner_artifacts"),
    "spectrum": ("bids_eeg2fmri.workflow.eeg", "compute_spectrum"),
    "targets (drift, basis), all folds": ("bids_eeg2fmri.workflow.training", "learn_targets"),
    "network, all fits": ("bids_eeg2fmri.training.fitting", "Trainer.fit"),
    "chance: models, surrogates": ("bids_eeg2fmri.workflow.participant", "ask_about_chance"),
    "ridges, all fits": ("bids_eeg2fmri.workflow.training", "predict_by_ridge"),
    "scores and chance": ("bids_eeg2fmri.workflow.participant", "score"),
    "write series": ("bids_eeg2fmri.bids.derivatives", "Derivatives.write_bold"),
    "write samples": ("bids_eeg2fmri.bids.derivatives", "Derivatives.write_samples"),
    "report": ("bids_eeg2fmri.reports.participant", "participant_report"),
}


def resident_mb() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 1e6


class Watch:
    """Time calls and sample the resident memory while they run."""

    def __init__(self):
        self.seconds = dict.fromkeys(STAGES, 0.0)
        self.peak = dict.fromkeys(STAGES, 0.0)
        self.running: list[str] = []
        threading.Thread(target=self.sample, daemon=True).start()

    def sample(self):
        while True:
            now = resident_mb()
            for stage in list(self.running):
                self.peak[stage] = max(self.peak[stage], now)
            time.sleep(0.02)

    def wrap(self, stage, function):
        def timed(*args, **kwargs):
            self.running.append(stage)
            started = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds[stage] += time.perf_counter() - started
                self.peak[stage] = max(self.peak[stage], resident_mb())
                self.running.remove(stage)

        return timed


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--max-epochs", type=int, default=1)
    parser.add_argument("--dataset", type=Path, help="an existing dataset with one participant; default: simulate it")
    options = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="stages_"))
    dataset = options.dataset
    if dataset is None:
        from bids_eeg2fmri.testing.simulate import Simulation, simulate_dataset

        dataset = work / "dataset"
        pid = os.fork()  # the simulator's memory is not the app's
        if pid == 0:
            simulation = Simulation(
                n_participants=1, tasks=("rest",), duration_s=600, sfreq=5000, n_channels=64, grid=(64, 64, 30),
                gradient_uv=10_000, pulse_uv=80, scanner_ppm=15,
            )  # fmt: skip
            simulate_dataset(dataset, simulation)
            os._exit(0)
        os.waitpid(pid, 0)

    started = time.perf_counter()
    from bids_eeg2fmri.training.engine import start_engine

    start_engine(seed=0, n_cpus=2)
    watch = Watch()
    for stage, (module_name, attribute) in STAGES.items():
        owner = importlib.import_module(module_name)
        *path, name = attribute.split(".")
        for part in path:
            owner = getattr(owner, part)
        setattr(owner, name, watch.wrap(stage, getattr(owner, name)))
    imports_s = time.perf_counter() - started

    from bids_eeg2fmri.cli import main as run

    config = work / "config.toml"
    config.write_text(f"[training]\nmax_epochs = {options.max_epochs}\n")
    started = time.perf_counter()
    code = run([str(dataset), str(work / "out"), "participant", "--config-file", str(config), "--n-cpus", "2"])
    total = time.perf_counter() - started
    print(f"| stage | s | peak MB |\n|---|---|---|\n| imports | {imports_s:.1f} | |")
    for stage in STAGES:
        print(f"| {stage} | {watch.seconds[stage]:.2f} | {watch.peak[stage]:.0f} |")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(f"| whole participant level, {options.max_epochs} epoch(s) | {total:.1f} | {peak:.0f} |")
    sys.exit(code)


if __name__ == "__main__":
    main()

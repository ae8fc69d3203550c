from pathlib import Path

import numpy as np
import pytest

from bids_eeg2fmri.bids.recordings import Recording
from bids_eeg2fmri.bold.grid import Grid
from bids_eeg2fmri.config import BoldSettings, Settings, TrainingSettings, WindowSettings
from bids_eeg2fmri.eeg.spectrum import Spectrum
from bids_eeg2fmri.workflow.preparation import Prepared

GRID = Grid(np.random.default_rng(5).random((7, 8, 9)) < 0.3, np.diag([9.0, 8.0, 7.0, 1.0]))


@pytest.fixture(scope="session")
def quick() -> Settings:
    return Settings(
        window=WindowSettings(span_s=8.0, step_s=2.0),
        bold=BoldSettings(n_components=4),
        training=TrainingSettings(n_folds=4, gap_s=12.0, max_epochs=16, patience=5, learning_rate=0.03),
    )


@pytest.fixture(scope="session")
def make_run():
    """Make a run whose voxels follow the power of two channels some four seconds ago, as BOLD does."""

    def make(n_volumes=100, *, seed=0, first_onset_s=6.0):
        rng = np.random.default_rng(seed)
        ends_s = 2.0 + 2.0 * np.arange(n_volumes + 5)
        onsets_s = first_onset_s + 2.0 * np.arange(n_volumes)
        power = rng.normal(-110, 4, (len(ends_s), 3, 5)).astype(np.float32)
        spectrum = Spectrum(power, np.array([6.0, 8.0, 10.0, 12.0, 14.0]), ends_s, ("C3", "Cz", "C4"))
        frame = np.rint((onsets_s[:, None] - np.array([2.0, 4.0, 6.0, 8.0]) - 2.0) / 2.0).astype(int)
        frame = np.clip(frame, 0, len(ends_s) - 1)
        sources = np.einsum("vlc,l->vc", power[frame][:, :, [0, 2], [2, 1]] + 110, [0.3, 1.0, 0.7, 0.3]) / 4
        patterns = np.random.default_rng(9).standard_normal((2, GRID.n_voxels))
        change = sources @ patterns + 0.5 * rng.standard_normal((n_volumes, GRID.n_voxels))
        table = (600 * (1 + change / 100)).astype(np.float32)
        name = f"sub-01_task-rest_run-{seed + 1}"
        recording = Recording("01", Path(f"{name}_eeg.vhdr"), Path(f"{name}_bold.nii.gz"), "paired", "same run")
        return Prepared(
            recording, onsets_s, 2.0, onsets_s[-1] + 2.0, spectrum, 2.0, str(seed), [None] * 3, grid=GRID, table=table
        )

    return make

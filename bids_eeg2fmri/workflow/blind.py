"""What the baselines look at instead of the EEG: the task's schedule, the body, the measured global signal."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import pandas as pd

from bids_eeg2fmri.bold.drift import drift_regressors, remove_drift
from bids_eeg2fmri.evaluation.baselines import list_conditions, schedule_features

SCHEDULE = "schedule only"
NUISANCE = "nuisance only"
# A reference and no baseline: it looks at the very volumes that are to be predicted.
GLOBAL = "global signal"


class Known(Protocol):
    """What is known of a run besides its EEG and BOLD."""

    @property
    def onsets_s(self) -> np.ndarray: ...
    @property
    def tr_s(self) -> float: ...
    @property
    def events(self) -> pd.DataFrame | None: ...
    @property
    def motion(self) -> np.ndarray | None: ...
    @property
    def cardiac(self) -> np.ndarray | None: ...


def blind_features(runs: Sequence[Known], *, drift_period_s: float) -> dict[str, np.ndarray]:
    """Make the features of the baselines that these runs allow.

    A run without events, or one of which motion or heart rate is unknown, has zeros there. Drift is taken out, as it is
    out of what is predicted and out of what is scored: a regressor that drifts would be fitted to nothing by it. Each
    feature is divided by its standard deviation over all runs, in which the BOLD that is predicted has no say.

    Parameters
    ----------
    runs : sequence of Known
    drift_period_s : float

    Returns
    -------
    dict of model to array of shape (volumes of all runs, features)
        Run after run. Without "schedule only" where no run has events, without "nuisance only" where nothing is known.
    """
    features: dict[str, np.ndarray] = {}
    tables = [run.events for run in runs]
    if any(table is not None for table in tables):
        conditions = list_conditions(tables)
        schedules = [schedule_features(run.events, len(run.onsets_s), run.tr_s, conditions) for run in runs]
        features[SCHEDULE] = _concatenate(schedules, runs, drift_period_s)
    body = [_stack([run.motion for run in runs], runs), _stack([run.cardiac for run in runs], runs)]
    known = [columns for columns in body if columns is not None]
    if known:
        features[NUISANCE] = _concatenate([np.hstack(run) for run in zip(*known, strict=True)], runs, drift_period_s)
    return features


def global_signal(runs: Sequence[Known], tables: Sequence[np.ndarray], *, drift_period_s: float) -> np.ndarray:
    """Give the mean over the voxels of each volume as measured, drift removed, in standard deviations, (volumes, 1)."""
    courses = [table.mean(1, dtype=np.float64) for table in tables]
    return _concatenate([100 * (course / course.mean() - 1)[:, None] for course in courses], runs, drift_period_s)


def _stack(found: Sequence[np.ndarray | None], runs: Sequence[Known]) -> list[np.ndarray] | None:
    """Give every run the same number of columns: tables of confounds and estimates may differ."""
    width = max((columns.shape[1] for columns in found if columns is not None), default=0)
    if not width:
        return None
    stacked = []
    for columns, run in zip(found, runs, strict=True):
        padded = np.zeros((len(run.onsets_s), width), dtype=np.float32)
        if columns is not None:
            padded[:, : columns.shape[1]] = columns
        stacked.append(padded)
    return stacked


def _concatenate(of_runs: Sequence[np.ndarray], runs: Sequence[Known], drift_period_s: float) -> np.ndarray:
    cleaned = []
    for columns, run in zip(of_runs, runs, strict=True):
        drift = drift_regressors(len(run.onsets_s), tr_s=run.tr_s, shortest_period_s=drift_period_s)
        cleaned.append(remove_drift(columns.astype(np.float64), drift))
    features = np.concatenate(cleaned)
    size = features.std(0)
    # What is left of a constant by rounding is none.
    varies = size > 1e-6 * np.abs(np.concatenate(of_runs)).max(0)
    return np.where(varies, features / np.where(varies, size, 1), 0).astype(np.float32)

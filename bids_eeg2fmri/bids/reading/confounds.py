"""Read what a pipeline says of the nuisance in a series: confounds by a strategy of nilearn's, and volumes to leave out."""

import warnings

import numpy as np
import pandas as pd

from bids_eeg2fmri.bids.recordings import PreprocessedBold
from bids_eeg2fmri.errors import InputDataError

# Of the volumes that are left, the share that confounds may be: with more, hardly anything is left to learn from.
MOST_CONFOUNDS = 0.33


def read_nuisance(
    preprocessed: PreprocessedBold, strategy: str, n_volumes: int
) -> tuple[np.ndarray | None, np.ndarray]:
    """Read the confounds of a series.

    Parameters
    ----------
    preprocessed : PreprocessedBold
    strategy : str
        Of nilearn's ``load_confounds_strategy``; "none" takes no confounds.
    n_volumes : int

    Returns
    -------
    confounds : array of shape (volumes, regressors) or None
        In standard deviations; 0 where they are unknown, as derivatives of the first volume are.
    usable : array of shape (volumes,)
        False for volumes before the steady state, and for those that the strategy scrubs.

    Raises
    ------
    InputDataError
        If the table is missing or does not fit, or lacks what the strategy asks for, or it leaves too little.
    """
    usable = np.ones(n_volumes, bool)
    if preprocessed.confounds is None:
        if strategy != "none":
            raise InputDataError(
                f"{preprocessed.path}: expected *_desc-confounds_timeseries.tsv beside it for bold.confounds = {strategy!r}, found "
                'none; choose "none"'
            )
        return None, usable
    path = preprocessed.confounds
    try:
        table = pd.read_csv(path, sep="\t", na_values="n/a", encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise InputDataError(f"{path}: expected a table of confounds, found it unreadable ({reason})") from error
    if len(table) != n_volumes:
        raise InputDataError(f"{path}: expected {n_volumes} rows, one per volume, found {len(table)}; copy it anew")
    outliers = table.filter(regex=r"^non_steady_state_outlier\d+$")
    usable &= ~(outliers.to_numpy(float) > 0).any(1)
    if strategy == "none":
        return None, usable
    chosen, kept = _by_strategy(preprocessed, strategy)
    if kept is not None:
        usable &= np.isin(np.arange(n_volumes), kept)
    values = chosen.to_numpy(np.float64)
    if values.shape[1] > MOST_CONFOUNDS * np.count_nonzero(usable):
        raise InputDataError(
            f"{path}: expected fewer confounds than a third of the volumes, found {values.shape[1]} by bold.confounds = "
            f'"{strategy}" and {np.count_nonzero(usable)} volumes; choose "simple" or "none"'
        )
    return standardized(values, usable), usable


def standardized(values: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Put nuisance regressors into standard deviations, so that none is lost by rounding beside a larger one."""
    values = np.nan_to_num(values)
    spread = values[usable].std(0)
    varies = spread > 1e-12
    return np.where(varies, (values - values[usable].mean(0)) / np.where(varies, spread, 1), 0)


def _by_strategy(preprocessed: PreprocessedBold, strategy: str) -> tuple[pd.DataFrame, np.ndarray | None]:
    from nilearn.interfaces.fmriprep import load_confounds_strategy

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what it fills in; what is missing is an error
            return load_confounds_strategy(str(preprocessed.path), denoise_strategy=strategy)
    except Exception as error:  # nilearn raises all kinds
        reason = " ".join(str(error).split()) or repr(error)
        raise InputDataError(
            f"{preprocessed.confounds}: expected what nilearn's strategy {strategy!r} takes, found that it can't be read "
            f'({reason}); choose another for bold.confounds, or "none"'
        ) from error

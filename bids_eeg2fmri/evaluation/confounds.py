"""Motion as fMRIPrep and its relatives have it in their tables."""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from bids_eeg2fmri.errors import InputDataError

MOTION = re.compile(r"(trans|rot)_[xyz](_derivative1)?(_power2)?")
SIX = tuple(f"{kind}_{axis}" for kind in ("trans", "rot") for axis in "xyz")


def read_confounds(path: Path) -> pd.DataFrame:
    """Pick the parameters of motion, their derivatives and the squares of all from a table of confounds.

    Parameters
    ----------
    path : Path
        ``*_desc-confounds_timeseries.tsv``.

    Returns
    -------
    DataFrame
        A row per volume, up to 24 columns in mm and rad; what is missing, as derivatives of the first volume are, is 0.

    Raises
    ------
    InputDataError
        If it is no such table.
    """
    try:
        table = pd.read_csv(path, sep="\t", na_values="n/a", encoding="utf-8-sig")
    except (OSError, ValueError) as error:  # what pandas raises of a file that is no table is a ValueError
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise InputDataError(f"{path}: expected a table of confounds, found it unreadable ({reason})") from error
    missing = [name for name in SIX if name not in table]
    if missing:
        raise InputDataError(
            f"{path}: expected motion as fMRIPrep names it ({', '.join(SIX)}), found no {', '.join(missing)}; rename the columns"
        )
    motion = table[[name for name in table if MOTION.fullmatch(str(name))]].apply(pd.to_numeric, errors="coerce")
    return motion.astype(float).replace([np.inf, -np.inf], np.nan).fillna(0.0)

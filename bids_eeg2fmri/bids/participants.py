"""participants.tsv: groups and covariates."""

from pathlib import Path
from typing import Any

import pandas as pd

from bids_eeg2fmri.errors import InputDataError


def read_participant(dataset: Path, subject: str) -> dict[str, Any]:
    """Give a participant's row of participants.tsv without missing values; empty if there is none.

    Raises
    ------
    InputDataError
        If the file is no table.
    """
    path = dataset / "participants.tsv"
    if not path.is_file():
        return {}
    try:
        # Only n/a is missing in BIDS: a diagnosis may be called None.
        table = pd.read_csv(
            path, sep="\t", keep_default_na=False, na_values="n/a", encoding="utf-8-sig", dtype={"participant_id": str}
        )
    except (ValueError, OSError) as error:  # pandas' own errors are ValueErrors, UnicodeDecodeError too
        raise InputDataError(
            f"{path}: expected a table in UTF-8 separated by tabs, found {error}; save it anew"
        ) from error
    if "participant_id" not in table:
        return {}
    rows = table[table.participant_id.str.removeprefix("sub-") == subject]
    if rows.empty:
        return {}
    row = rows.iloc[0].drop("participant_id").dropna()
    return {str(key): value.item() if hasattr(value, "item") else value for key, value in row.items()}

"""participants.tsv: groups and covariates."""

import re
from pathlib import Path
from typing import Any

from bids_eeg2fmri.bids.reading.tables import MISSING, find_column, read_table

NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.IGNORECASE)


def read_participant(dataset: Path, subject: str) -> dict[str, Any]:
    """Give a participant's row of participants.tsv without missing values; empty if there is none.

    A column is one of numbers if all its values are. Only n/a is missing in BIDS: a diagnosis may be called None.

    Raises
    ------
    InputDataError
        If the file is no table.
    """
    path = dataset / "participants.tsv"
    if not path.exists() and not path.is_symlink():
        return {}
    table = read_table(path)
    labels = find_column(table, "participant_id")
    if labels is None:
        return {}
    rows = table[labels.str.removeprefix("sub-") == subject].drop(columns=str(labels.name))
    if rows.empty:
        return {}
    row = {str(name): str(value) for name, value in rows.iloc[0].items() if value != MISSING}
    return {name: _to_number(text) if _is_numeric(table[name]) else text for name, text in row.items()}


def known_participants(dataset: Path) -> list[str]:
    """List everybody whom the dataset has a folder or a row of participants.tsv for, without ``sub-``; nobody if it is gone."""
    found = {path.name for path in dataset.glob("sub-*") if path.is_dir()}
    path = dataset / "participants.tsv"
    labels = find_column(read_table(path), "participant_id") if path.is_file() else None
    if labels is not None:
        found |= {label for label in labels if label != MISSING}
    return sorted(label.removeprefix("sub-") for label in found)


def _is_numeric(column) -> bool:
    return all(value == MISSING or NUMBER.fullmatch(value) for value in column)


def _to_number(text: str) -> int | float:
    return int(text) if re.fullmatch(r"[-+]?\d+", text) else float(text)

"""participants.tsv: groups and covariates."""

from pathlib import Path
from typing import Any

import pandas as pd


def read_participant(dataset: Path, subject: str) -> dict[str, Any]:
    """Give a participant's row of participants.tsv without missing values; empty if there is none."""
    path = dataset / "participants.tsv"
    if not path.is_file():
        return {}
    table = pd.read_csv(path, sep="\t", na_values="n/a", encoding="utf-8-sig", dtype={"participant_id": str})
    if "participant_id" not in table:
        return {}
    rows = table[table.participant_id.str.removeprefix("sub-") == subject]
    if rows.empty:
        return {}
    row = rows.iloc[0].drop("participant_id").dropna()
    return {str(key): value.item() if hasattr(value, "item") else value for key, value in row.items()}

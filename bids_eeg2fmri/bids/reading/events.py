"""Events: the table that belongs to a file, and what it says."""

from pathlib import Path

import numpy as np
import pandas as pd

from bids_eeg2fmri.bids.reading.files import warn_once
from bids_eeg2fmri.bids.reading.sidecars import find_inherited
from bids_eeg2fmri.bids.reading.tables import MISSING, find_column, read_table
from bids_eeg2fmri.errors import InputDataError

# The columns that tell one kind of event from another.
CODE_COLUMNS = ("trial_type", "value")


def read_events(path: Path) -> pd.DataFrame:
    """Read a table of events.

    Parameters
    ----------
    path : Path
        An ``events.tsv``.

    Returns
    -------
    DataFrame
        ``onset`` and ``duration`` in s as numbers, in the order of the onsets, the other columns as text. An unknown
        duration is 0; rows without an onset are left out.

    Raises
    ------
    InputDataError
        If there is no column ``onset``.
    """
    table = read_table(path)
    onsets = find_column(table, "onset")
    if onsets is None:
        raise InputDataError(
            f"{path}: expected a column onset, found {', '.join(table.columns[:8])}; name it as BIDS has it"
        )
    durations = find_column(table, "duration")
    known = pd.DataFrame({"onset": _to_seconds(onsets), "duration": 0.0}, index=table.index)
    if durations is not None:
        known["duration"] = _to_seconds(durations).fillna(0.0)
    others = table.drop(columns=[column.name for column in (onsets, durations) if column is not None])
    events = pd.concat([known, others], axis=1)
    usable = events["onset"].notna()
    if not usable.all():
        warn_once(f"{path}: {(~usable).sum()} of {len(events)} events have no onset; left out")
    return events[usable].sort_values("onset", kind="stable", ignore_index=True)


def find_events_file(dataset: Path, file: Path) -> Path | None:
    """Find the table of events that belongs to an EEG or BOLD file: its own, or else the nearest that it inherits."""
    found = find_inherited(dataset, file, suffix="events", extension=".tsv")
    return found[-1] if found else None


def read_event_markers(file: Path) -> dict[str, np.ndarray]:
    """Give the codes in the events.tsv of an EEG file, with their onsets in s.

    Only a table in the folder of the file counts. One higher up belongs to the BOLD as well and is on the BOLD's clock:
    in ds002336 it has the blocks of the task from the first volume on.
    """
    path = find_events_file(file.parent, file)
    if path is None:
        return {}
    try:
        events = read_events(path)
    except InputDataError as error:
        warn_once(f"{error}; left out")
        return {}
    markers: dict[str, np.ndarray] = {}
    for column in CODE_COLUMNS:
        codes = find_column(events, column)
        if codes is None:
            continue
        for code in codes.unique():
            onsets = events["onset"].to_numpy()[codes == code]
            if code == MISSING or np.array_equal(markers.get(code, ()), onsets):
                continue
            # The same text may mean one thing as a type and another as a value.
            markers[f"{column}/{code}" if code in markers else str(code)] = onsets
    if not markers and len(events):
        markers[MISSING] = events["onset"].to_numpy()
    return markers


def _to_seconds(column: "pd.Series[str]") -> "pd.Series[float]":
    """Turn text into numbers, decimal commas included; NaN where it is none."""
    numbers = pd.to_numeric(column.str.replace(",", "."), errors="coerce").astype(float)
    return numbers.where(np.isfinite(numbers))

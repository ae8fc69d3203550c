"""The events of a recording on the clock of its volumes, so that a GLM can be run on the synthesized series."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from bids_eeg2fmri.bids.reading import find_events_file, find_root, read_events
from bids_eeg2fmri.bids.recordings import Recording
from bids_eeg2fmri.eeg.alignment import Alignment
from bids_eeg2fmri.errors import Eeg2FmriError
from bids_eeg2fmri.evaluation.baselines import EARLIEST_S

# Logs of stimulation and triggers in the EEG agree within this where both are right.
SAME_EVENT_S = 0.1


def gather_events(recording: Recording, alignment: Alignment, *, tr_s: float) -> tuple[pd.DataFrame | None, list[str]]:
    """Read the events of either side of a recording and put them on the volumes' clock: see :func:`place_events`."""
    assert recording.eeg is not None
    assert recording.bold is not None
    tables: list[pd.DataFrame | None] = []
    conflicts: list[str] = []
    for file, root in ((recording.bold, find_root(recording.bold)), (recording.eeg, recording.eeg.parent)):
        # What is inherited from above counts from the first volume: the EEG's own is in its folder.
        path = find_events_file(root, file)
        try:
            tables.append(read_events(path) if path else None)
        except Eeg2FmriError as error:
            tables.append(None)
            conflicts.append(str(error))
    of_bold, of_eeg = tables
    table, told = place_events(of_bold, of_eeg, alignment, tr_s=tr_s)
    return table, conflicts + told


def place_events(
    of_bold: pd.DataFrame | None, of_eeg: pd.DataFrame | None, alignment: Alignment, *, tr_s: float
) -> tuple[pd.DataFrame | None, list[str]]:
    """Put the events of either side on the volumes' clock.

    The table of the BOLD (which may be inherited) counts from its first volume, as BIDS has it; that in the EEG's folder from
    the start of its file. Where both
    exist the BOLD's is taken, and what the other contradicts is told.

    Parameters
    ----------
    of_bold, of_eeg : DataFrame or None
        With ``onset`` and ``duration`` in s, as ``read_events`` gives them.
    alignment : Alignment
    tr_s : float
        Repetition time as the BOLD file has it: the clock of the result.

    Returns
    -------
    table, conflicts
        The events with ``onset`` in s from the first stored volume, None if there are none; and what does not fit, in words.
    """
    # A table without a row tells nothing.
    of_bold, of_eeg = (None if table is None or table.empty else table for table in (of_bold, of_eeg))
    conflicts: list[str] = []
    start_s = float(alignment.onsets_s[0])
    copied = of_bold is not None and of_eeg is not None and _have_same_onsets(of_bold, of_eeg)
    marked = False
    if of_eeg is not None:
        of_eeg, marked, told = _to_volumes(of_eeg, alignment, tr_s=tr_s)
        conflicts += told
    if copied and abs(start_s) > SAME_EVENT_S:
        both = f"the events.tsv of BOLD and EEG have the same onsets, though the first volume comes at {start_s:.3f} s of the EEG"
        if marked:
            conflicts.append(
                f"{both}: they count from the start of the EEG, as the volume markers in them tell; they were moved"
            )
            of_bold = None
        else:
            conflicts.append(f"{both}: one of them is wrong; the BOLD's are used")
    elif of_bold is not None and of_eeg is not None:
        conflicts += _compare(of_bold, of_eeg)
    table = of_bold if of_bold is not None else of_eeg
    if table is None:
        return None, conflicts
    end_s = tr_s * len(alignment.onsets_s)
    inside = (table.onset >= EARLIEST_S) & (table.onset < end_s)
    if not inside.all():
        conflicts.append(f"{np.sum(~inside)} of {len(table)} events lie outside the series; left out")
    table = table[inside].reset_index(drop=True)
    return (table if len(table) else None), conflicts


def _to_volumes(
    events: pd.DataFrame, alignment: Alignment, *, tr_s: float
) -> tuple[pd.DataFrame | None, bool, list[str]]:
    """Count from the first volume, by the scanner's seconds, without the volume markers; say whether there were any."""
    is_volume = np.zeros(len(events), dtype=bool)
    for name in ("trial_type", "value"):
        if name in events:
            is_volume |= events[name].map(lambda text: bool(text) and _same_code(text, alignment.code)).to_numpy()
    if is_volume.any():
        onsets = events.onset.to_numpy()[is_volume]
        # All that the code was seen at; slice markers of other volumes are not kept, so the model has to do.
        seen = np.sort(np.concatenate([alignment.onsets_s[alignment.onsets_s >= 0], alignment.others_s]))
        if np.abs(seen - onsets[0]).min() > SAME_EVENT_S:
            return (
                None,
                False,
                [
                    f"the EEG's events.tsv is not on the clock of its file: its volume markers start at {onsets[0]:.3f} s, those "
                    f"of the file at {seen[0]:.3f} s; it is not used"
                ],
            )
    kept = events[~is_volume]
    moved = kept.assign(onset=(kept.onset - alignment.onsets_s[0]) * tr_s / alignment.tr_s)
    return (moved.reset_index(drop=True) if len(moved) else None), bool(is_volume.any()), []


def _same_code(text: str, code: str) -> bool:
    return text == code or text == code.rpartition("/")[2]


def _have_same_onsets(a: pd.DataFrame, b: pd.DataFrame) -> bool:
    return len(a) == len(b) and bool(np.allclose(a.onset, b.onset, atol=0.01))


def _compare(of_bold: pd.DataFrame, of_eeg: pd.DataFrame) -> Iterator[str]:
    """Say of each condition that both sides have whether their onsets agree."""
    if "trial_type" not in of_bold or "trial_type" not in of_eeg:
        return
    for condition, mine in of_bold.groupby("trial_type"):
        theirs = of_eeg.onset[of_eeg.trial_type == condition].to_numpy()
        onsets = mine.onset.to_numpy()
        if not len(theirs):
            continue
        if len(theirs) != len(onsets):
            yield f"{condition}: {len(onsets)} events in the BOLD's events.tsv, {len(theirs)} in the EEG's"
            continue
        difference = onsets - theirs
        middle = float(np.median(difference))
        if np.abs(difference).max() > SAME_EVENT_S:
            yield f"{condition}: onsets in the BOLD's events.tsv are {middle:+.2f} s off the EEG's (median)"

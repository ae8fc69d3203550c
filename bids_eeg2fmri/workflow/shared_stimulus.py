"""Participants who saw the same things at the same times: what that does to everybody."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bids_eeg2fmri.bids.derivatives import Derivatives
from bids_eeg2fmri.bids.reading import read_events
from bids_eeg2fmri.evaluation.ceilings import intersubject_correlation
from bids_eeg2fmri.workflow.over_participants import task_of

# Events that far apart are the same: a button box, a clock and a volume differ by as much.
SAME_S = 0.5
# r over fewer volumes says nothing.
FEWEST_VOLUMES = 30
_MEASURED = "_measured"


@dataclass(frozen=True)
class _Seen:
    participant: str
    name: str
    tr_s: float
    events: pd.DataFrame
    regions: str

    def as_in(self, other: "_Seen") -> bool:
        if task_of(self.name) != task_of(other.name) or len(self.events) != len(other.events):
            return False
        if abs(self.tr_s - other.tr_s) > 0.001:
            return False
        onsets_s = self.events.onset.to_numpy() - other.events.onset.to_numpy()
        kinds = [(of.events.get("trial_type", pd.Series(dtype=str))).tolist() for of in (self, other)]
        return bool(np.abs(onsets_s).max() <= SAME_S) and kinds[0] == kinds[1]


def share_stimulus(derivatives: Derivatives, summaries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Correlate measured regions between participants wherever they share a task with the same events.

    Returns
    -------
    dict
        ``stimuli``, a list: ``task``, ``participants``, ``n_volumes``, ``regions`` (``name`` and mean r of a participant with
        the mean of all others), ``median_r`` over the regions, and ``left_out`` with the reason. Only ``reason`` if
        nothing is shared.
    """
    groups: list[list[_Seen]] = []
    for seen in _find(derivatives, summaries):
        for group in groups:
            # A second run of somebody is another stimulus, also if it holds the same events.
            if seen.as_in(group[0]) and seen.participant not in {other.participant for other in group}:
                group.append(seen)
                break
        else:
            groups.append([seen])
    shared = [group for group in groups if len(group) > 1]
    if not shared:
        return {
            "reason": f"no two participants have a run of one task with the same events, {SAME_S:g} s apart at most"
        }
    described = [_correlate(derivatives, group) for group in shared]
    stimuli = [stimulus for stimulus in described if "regions" in stimulus]
    return {"stimuli": stimuli} if stimuli else {"reason": described[0]["reason"]}


def _find(derivatives: Derivatives, summaries: Sequence[Mapping[str, Any]]) -> list[_Seen]:
    found = []
    for summary in summaries:
        for entry in summary["recordings"]:
            files = entry["files"]
            paths = [derivatives.root / files[kind] for kind in ("events", "regions") if kind in files]
            if len(paths) == 2 and all(path.is_file() for path in paths):
                events = read_events(paths[0])
                if len(events):
                    who = summary["participant_id"]
                    found.append(_Seen(who, entry["name"], float(entry["tr_s"]), events, files["regions"]))
    return found


def _correlate(derivatives: Derivatives, group: Sequence[_Seen]) -> dict[str, Any]:
    tables = [derivatives.read_regions(seen.regions) for seen in group]
    measured = [table.filter(regex=f"{_MEASURED}$") for table in tables]
    layouts = [(len(table), tuple(table.columns)) for table in measured]
    usual = Counter(layouts).most_common(1)[0][0]
    left_out = [
        {
            "name": seen.name,
            "reason": f"{'other regions' if columns != usual[1] else 'another number of volumes'} than most participants",
        }
        for seen, (n, columns) in zip(group, layouts, strict=True)
        if (n, columns) != usual
    ]
    kept = [i for i, layout in enumerate(layouts) if layout == usual]
    courses = np.stack([measured[i].to_numpy(dtype=float) for i in kept])
    # Volumes without enough EEG before them were not judged, and are not known here.
    use = np.isfinite(courses).all(axis=(0, 2))
    if len(kept) < 2 or use.sum() < FEWEST_VOLUMES:
        what = f"fewer than {FEWEST_VOLUMES} volumes" if len(kept) > 1 else "no regions"
        return {"reason": f"participants with the same events of {task_of(group[0].name) or 'a task'} share {what}"}
    r = pd.DataFrame(intersubject_correlation([course[use] for course in courses])).mean()
    regions = [
        {"name": column.removesuffix(_MEASURED), "r": float(value)}
        for column, value in zip(usual[1], r, strict=True)
        if np.isfinite(value)
    ]
    return {
        "task": task_of(group[0].name),
        "participants": [group[i].participant for i in kept],
        "n_volumes": int(use.sum()),
        "median_r": float(np.median([region["r"] for region in regions])) if regions else None,
        "regions": sorted(regions, key=lambda region: -region["r"]),
        "left_out": left_out,
    }

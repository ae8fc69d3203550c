"""The report of a group: how good synthesis is over participants, between them, and for telling groups apart."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from bids_eeg2fmri.bids.derivatives import Derivatives
from bids_eeg2fmri.reports import figures, maps
from bids_eeg2fmri.reports.figures import Picture
from bids_eeg2fmri.reports.pages import render
from bids_eeg2fmri.reports.wording import command_line


def group_report(derivatives: Derivatives, summary: Mapping[str, Any]) -> str:
    """Make the page of the group.

    Parameters
    ----------
    derivatives : Derivatives
        Where the participants' results and pages lie.
    summary : mapping
        What the group level concluded, ``group_summary.json``. Where something could not be done, its ``reason`` is told.

    Returns
    -------
    str
        HTML that needs no other file and no network; it links to the participants' pages beside it.
    """
    participants = [
        dict(row) | {"page": page if (derivatives.root / (page := f"{row['participant_id']}.html")).is_file() else None}
        for row in summary["participants"]
    ]
    within, transfer = summary.get("within", {}), summary.get("transfer", {})
    provenance = dict(summary.get("provenance") or {})
    return render(
        "group.html.j2",
        verdict=summary["verdict"],
        participants=participants,
        group_column=summary.get("group_column"),
        missing=summary.get("missing", []),
        left_out=summary.get("left_out", []),
        within={"reason": "no results"} | within,
        within_picture=_draw_within(derivatives, summary, within),
        transfer={"reason": "no results", "bundle": None, "map": None} | transfer,
        transfer_picture=_draw_transfer(transfer),
        transfer_map=_draw_map(derivatives, transfer),
        classification={"reason": "no results", "table": []} | summary.get("classification", {}),
        settings=summary.get("settings", {}),
        settings_hash=summary.get("settings_hash"),
        command=command_line(provenance.pop("command", None)),
        versions=provenance.pop("versions", {}),
        provenance=provenance,
    )


def _draw_within(derivatives: Derivatives, summary: Mapping[str, Any], within: Mapping[str, Any]) -> Picture | None:
    if "mean_r" not in within:
        return None
    wanted = {row["participant_id"] for row in summary["participants"]}
    rows = []
    for participant in derivatives.read_summaries():
        chance = participant.get("chance")
        if chance and participant["participant_id"] in wanted:
            low, high = np.percentile(chance["null_pooled_r"], [2.5, 97.5])
            rows.append((participant["participant_id"], chance["pooled_r"], float(low), float(high)))
    return figures.draw_participants(rows, mean=_mean(within)) if rows else None


def _draw_transfer(transfer: Mapping[str, Any]) -> Picture | None:
    rows = [
        (row["participant_id"], row["pooled_r"], row["null_low"], row["null_high"])
        for row in transfer.get("by_participant", [])
    ]
    return figures.draw_participants(rows, mean=_mean(transfer)) if rows else None


def _mean(part: Mapping[str, Any]) -> tuple[float, float, float]:
    return part["mean_r"], part["mean_r_low"], part["mean_r_high"]


def _draw_map(derivatives: Derivatives, transfer: Mapping[str, Any]) -> Picture | None:
    """Draw the mean map of r over the template of the group's model."""
    if "map" not in transfer or "bundle" not in transfer:
        return None
    import nibabel as nib

    folder = derivatives.root / transfer["bundle"]
    paths = [derivatives.root / transfer["map"], folder / "template.nii.gz", folder / "mask.nii.gz"]
    if not all(path.is_file() for path in paths):
        return None
    r_map, template, mask = (nib.load(path) for path in paths)
    return maps.draw_r_map(maps.background(template, mask), r_map, mask, limit=maps.limit_of([r_map]))

"""The report of one participant: what was done, how good it is, and how far it can be believed."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from bids_eeg2fmri.bids.derivatives import Derivatives
from bids_eeg2fmri.reports import figures, maps
from bids_eeg2fmri.reports.alignment import describe_clock, draw_alignment
from bids_eeg2fmri.reports.figures import Picture
from bids_eeg2fmri.reports.pages import render
from bids_eeg2fmri.reports.wording import command_line

# Rows that are always shown; the rest unfolds.
_TOP_REGIONS = 10
_KINDS = {
    "alignment": "onset, marker and residual of each volume; the evidence in the .json beside it",
    "events": "events on the clock of the volumes, for a GLM",
    "synthesized": "synthesized BOLD series",
    "mask": "brain mask",
    "volumes": "onset and fold of each volume",
    "r_map": "map of r",
    "regions": "courses of the regions",
    "samples": "EEG power and BOLD for the group level",
}
_DECISIONS = {
    "paired": "this EEG and this BOLD are taken as recorded at the same time",
    "EEG only": "no BOLD belongs to this EEG",
    "BOLD only": "no EEG belongs to this BOLD",
    "not simultaneous": "there is EEG and BOLD, but not of the same minutes",
    "ambiguous": "more than one file could be the partner, and nothing is guessed",
}


def participant_report(derivatives: Derivatives, summary: Mapping[str, Any]) -> str:
    """Make the page of a participant.

    Parameters
    ----------
    derivatives : Derivatives
        Where the files lie that the summary names.
    summary : mapping
        What the participant level concluded, ``sub-<label>_summary.json``. Sections whose numbers are missing are left
        out.

    Returns
    -------
    str
        HTML that needs no other file and no network.
    """
    unknown = dict.fromkeys(("n_volumes", "tr_s", "first_volume_s", "alignment", "spectrum"))
    recordings: list[dict[str, Any]] = [unknown | entry for entry in summary["recordings"]]
    regions = sorted(summary.get("regions", []), key=lambda region: -region["r"])
    for position, entry in enumerate(recordings, start=1):
        _add_words(entry, anchor=f"recording-{position}")
    _add_pictures(derivatives, recordings, regions)
    provenance = dict(summary.get("provenance") or {})
    histories = summary.get("training")
    chance = summary.get("chance")
    return render(
        "participant.html.j2",
        participant=summary["participant_id"],
        covariates=summary.get("covariates", {}),
        verdict=summary.get("verdict") or _no_verdict(recordings),
        recordings=recordings,
        failed=[entry for entry in recordings if entry["status"] == "failed"],
        model=summary.get("model"),
        held_out=bool(histories),
        scores=summary.get("scores", []),
        chance=chance,
        chance_picture=figures.draw_chance(chance) if chance and chance.get("null_pooled_r") else None,
        training_picture=figures.draw_training(histories) if histories else None,
        top_regions=regions[:_TOP_REGIONS],
        other_regions=regions[_TOP_REGIONS:],
        settings=summary.get("settings", {}),
        settings_hash=summary.get("settings_hash"),
        command=command_line(provenance.pop("command", None)),
        versions=provenance.pop("versions", {}),
        provenance=provenance,
    )


def _no_verdict(recordings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Say why there is nothing to judge."""
    if any(entry["status"] == "synthesized" for entry in recordings):
        headline, sentence = "Not scored", "Synthesized BOLD was written, but nothing that says how good it is."
    else:
        headline = "Nothing was synthesized"
        sentence = "No BOLD was written for this participant; the remarks of the recordings below say why."
    return {"headline": headline, "better_than_chance": None, "sentences": [sentence]}


def _add_words(entry: dict[str, Any], *, anchor: str) -> None:
    """Add to a recording what was decided on it and what remains to be said, whatever its summary lacks."""
    both = "paired" if entry.get("eeg") and entry.get("bold") else f"{'EEG' if entry.get('eeg') else 'BOLD'} only"
    decision = entry.get("decision") or both
    pairing, remark = entry.get("pairing") or "", entry.get("remark") or ""
    alignment = entry["alignment"] or {}
    entry |= {
        "anchor": anchor,
        "decision": decision,
        "decision_words": _DECISIONS.get(decision, ""),
        "pairing": pairing,
        # What the decision says already is not said twice.
        "remark": "" if remark == f"{decision}: {pairing}" else remark,
        "evidence": alignment.get("evidence"),
        "clock": describe_clock(entry),
        "notes": list(alignment.get("notes") or []),
        "conflicts": list(entry.get("event_conflicts") or []),
    }


def _add_pictures(
    derivatives: Derivatives, recordings: Sequence[dict[str, Any]], regions: Sequence[Mapping[str, Any]]
) -> None:
    """Add to each recording its pictures, and the files that are named but gone."""
    import nibabel as nib

    for entry in recordings:
        there = {kind: path for kind, path in entry.get("files", {}).items() if (derivatives.root / path).is_file()}
        entry["gone"] = sorted(set(entry.get("files", {}).values()) - set(there.values()))
        entry["there"] = there
        entry["links"] = [(_KINDS.get(kind, kind), path) for kind, path in there.items()]
    # One color scale for all recordings, so that they can be compared.
    r_maps = {
        entry["anchor"]: nib.load(derivatives.root / entry["there"]["r_map"])
        for entry in recordings
        if "r_map" in entry["there"]
    }
    limit = maps.limit_of(list(r_maps.values()))
    chosen = _choose(regions)
    for entry in recordings:
        there, spectrum = entry["there"], entry["spectrum"]
        entry["alignment_picture"] = draw_alignment(entry)
        entry["spectra"] = figures.draw_spectra(spectrum) if spectrum else None
        entry["topographies"] = maps.draw_topographies(spectrum) if spectrum else None
        entry |= {"mask_picture": None, "r_picture": None, "courses": None}
        if "synthesized" in there and "mask" in there:
            series, mask = (nib.load(derivatives.root / there[kind]) for kind in ("synthesized", "mask"))
            template = maps.background(series, mask)
            entry["mask_picture"] = maps.draw_mask(template, mask)
            if entry["anchor"] in r_maps:
                entry["r_picture"] = maps.draw_r_map(template, r_maps[entry["anchor"]], mask, limit=limit)
        if "regions" in there and chosen:
            entry["courses"] = _draw_courses(derivatives, there, chosen)


def _choose(regions: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Name the best region and a typical one of regions that are sorted by r."""
    if not regions:
        return []
    best, typical = regions[0]["name"], regions[len(regions) // 2]["name"]
    return [("Best", best)] + ([("Typical", typical)] if typical != best else [])


def _draw_courses(
    derivatives: Derivatives, there: Mapping[str, str], chosen: Sequence[tuple[str, str]]
) -> Picture | None:
    table = pd.read_csv(derivatives.root / there["regions"], sep="\t", na_values="n/a")
    chosen = [(title, region) for title, region in chosen if f"{region}_measured" in table]
    return figures.draw_courses(table, chosen) if chosen else None

"""The report of one participant: what was done, how good it is, and how far it can be believed."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from bids_eeg2fmri.bids.derivatives import Derivatives
from bids_eeg2fmri.reports import bold, comparison, eeg, figures, maps, methods
from bids_eeg2fmri.reports.alignment import describe_clock, draw_alignment
from bids_eeg2fmri.reports.figures import Picture
from bids_eeg2fmri.reports.pages import render
from bids_eeg2fmri.reports.viewer import viewer_script, viewers_of
from bids_eeg2fmri.reports.wording import command_line, number, p_value, percent, place

# Rows that are always shown; the rest unfolds.
_TOP_REGIONS = 10
# Recordings with all their pictures, and with some, the map of r and the courses; further ones have none. The page stays
# below 5 MB, which mail and phones still take.
_IN_FULL, _IN_BRIEF = 3, 10
_MOST_CONDITIONS = 4
_KINDS = {
    "alignment": "onset, marker and residual of each volume; the evidence in the .json beside it",
    "events": "events on the clock of the volumes, for a GLM",
    "synthesized": "synthesized BOLD series",
    "mask": "brain mask",
    "volumes": "onset and fold of each volume",
    "r_map": "map of r",
    "regions": "courses of the regions",
    "samples": "EEG power and BOLD for the group level",
    "cleaned_eeg": "EEG as it was used: cleaned and downsampled",
    "transform": "where each voxel of the template lies in the BOLD as recorded",
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
    viewers = viewers_of(derivatives, recordings, summary.get("settings", {}))
    for entry, viewer in zip(recordings, viewers, strict=True):
        entry["viewer"] = viewer
    provenance = dict(summary.get("provenance") or {})
    histories = summary.get("training")
    chance = summary.get("chance") or {}
    scores = comparison.complete_scores(summary.get("scores") or [])
    models, published = comparison.pivot_published(summary.get("published") or [])
    text = methods.methods_text(summary)
    return render(
        "participant.html.j2",
        participant=summary["participant_id"],
        covariates=summary.get("covariates", {}),
        verdict=summary.get("verdict") or _no_verdict(recordings),
        glance=_glance(scores, chance, summary, regions),
        recordings=recordings,
        script=viewer_script() if any(viewers) else None,
        failed=[entry for entry in recordings if entry["status"] == "failed"],
        model=summary.get("model"),
        held_out=bool(histories),
        scores=scores,
        columns=comparison.columns_of(scores),
        comparison_picture=comparison.draw_comparison(
            scores,
            null=chance.get("null_pooled_r") or [],
            ceiling=(summary.get("ceiling") or {}).get("region_median"),
        ),
        uncertainty=summary.get("uncertainty"),
        chance=chance,
        chance_kinds=comparison.describe_chance(chance),
        chance_picture=comparison.draw_chance(chance),
        published=published,
        published_models=models,
        task=comparison.arrange_task(summary.get("task") or []),
        training_picture=figures.draw_training(histories) if histories else None,
        top_regions=regions[:_TOP_REGIONS],
        other_regions=regions[_TOP_REGIONS:],
        methods=methods.as_html(text),
        methods_source=text,
        references=[line for _, line in methods.references(text).values()],
        bibtex=methods.bibliography(text),
        settings=summary.get("settings", {}),
        settings_hash=summary.get("settings_hash"),
        command=command_line(provenance.pop("command", None)),
        versions=provenance.pop("versions", {}),
        provenance=provenance,
    )


def _glance(
    scores: Sequence[Mapping[str, Any]],
    chance: Mapping[str, Any],
    summary: Mapping[str, Any],
    regions: Sequence[Mapping[str, Any]],
) -> list[tuple[str, str, str]]:
    """List the numbers that matter most: (name, number, what it is to be compared with), those that are known."""
    first = scores[0] if scores else {}
    blind = comparison.best_blind(scores)
    n_shifts = len(chance.get("null_pooled_r") or [])
    ceiling = (summary.get("ceiling") or {}).get("region_median")
    typical = first.get("region_r_median")
    best = regions[0] if regions else {}
    tiles: list[tuple[str, Any, Callable[[Any], str], str]] = [
        ("r over the brain", first.get("pooled_r"), number, _interval(first, "pooled_r", number)),
        ("p", chance.get("p"), p_value, f"against {n_shifts} shifts of the EEG in time" if n_shifts else ""),
        (
            "Change explained",
            first.get("pooled_skill"),
            percent,
            f"best of what ignores the EEG: {blind['model']}, {percent(blind['pooled_skill'])}" if blind else "",
        ),
        (
            "Voxels above chance",
            first.get("share_significant"),
            percent,
            "at a false discovery rate of 5\N{NO-BREAK SPACE}%",
        ),
        (
            "Best region",
            best.get("r"),
            lambda r: f"r = {number(r)}",
            f"{place(best['name']) or best['name']}{_corrected(best)}" if best else "",
        ),
        (
            "Ceiling",
            ceiling,
            number,
            "r of a perfect model in a typical region, by what its voxels share"
            + (f"; this one reaches {number(typical)}" if typical is not None else ""),
        ),
    ]
    return [(name, write(value), beside) for name, value, write, beside in tiles if value is not None]


def _interval(row: Mapping[str, Any], key: str, write: Callable[[Any], str]) -> str:
    low, high = row.get(f"{key}_low"), row.get(f"{key}_high")
    return "" if low is None or high is None else f"95\N{NO-BREAK SPACE}% interval {write(low)} to {write(high)}"


def _corrected(region: Mapping[str, Any]) -> str:
    if region.get("p") is None:
        return ""
    p = p_value(region["p"])
    return f"; p {p if p.startswith('<') else f'= {p}'}, corrected"


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


def _is_corrected(entry: Mapping[str, Any]) -> bool:
    return bool((entry.get("gradient") or {}).get("corrected"))


def _moves(entry: Mapping[str, Any]) -> bool:
    return bool((entry.get("bold_done") or {}).get("motion"))


def _add_pictures(
    derivatives: Derivatives, recordings: Sequence[dict[str, Any]], regions: Sequence[Mapping[str, Any]]
) -> None:
    """Add to each recording its pictures, and the files that are named but gone."""
    import nibabel as nib

    for entry in recordings:
        named = {kind: path for kind, path in entry.get("files", {}).items() if isinstance(path, str)}
        there = {kind: path for kind, path in named.items() if (derivatives.root / path).is_file()}
        entry["gone"] = sorted(set(named.values()) - set(there.values()))
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
    drawn = [entry["anchor"] for entry in recordings if entry["spectrum"] or "synthesized" in entry["there"]]
    for entry in recordings:
        there = entry["there"]
        in_full, in_brief = (entry["anchor"] not in drawn[most:] for most in (_IN_FULL, _IN_BRIEF))
        spectrum = entry["spectrum"] if in_full else None
        entry |= {
            "extent": "full" if in_full else "brief" if in_brief else "none",
            "quality": eeg.describe_eeg(
                entry["spectrum"],
                entry.get("gradient"),
                entry.get("pulse"),
                entry.get("bad_channels"),
                entry.get("wires"),
                entry.get("montage"),
            )
            if entry["spectrum"]
            else [],
            "bold_rows": bold.describe_bold(entry["bold_done"]) if entry.get("bold_done") else [],
            "motion_picture": bold.draw_motion(entry["bold_done"], entry["tr_s"])
            if in_full and _moves(entry)
            else None,
            "alignment_picture": draw_alignment(entry) if in_full else None,
            "artefact": eeg.draw_artefact(entry["gradient"]) if in_full and _is_corrected(entry) else None,
            "spectra": eeg.draw_spectra(spectrum) if spectrum else None,
            "topographies": maps.draw_topographies(spectrum) if spectrum else None,
        }
        entry |= {"mask_picture": None, "r_picture": None, "glass_picture": None, "task_pictures": [], "courses": None}
        _look_for_task_maps(derivatives, entry)
        if in_brief and "synthesized" in there and "mask" in there:
            series, mask = (nib.load(derivatives.root / there[kind]) for kind in ("synthesized", "mask"))
            template = maps.background(series, mask)
            r_map = r_maps.get(entry["anchor"])
            if r_map is not None:
                entry["r_picture"] = maps.draw_r_map(template, r_map, mask, limit=limit)
            if in_full:
                space = str((entry.get("bold_done") or {}).get("space", ""))
                entry["mask_picture"] = maps.draw_mask(template, mask, in_mni=space.startswith("MNI152"))
                entry["glass_picture"] = maps.draw_glass_brain(r_map, mask, limit=limit) if r_map is not None else None
                entry["task_pictures"] = [
                    maps.draw_task_maps(
                        template, nib.load(of["measured"]), nib.load(of["synthesized"]), mask, condition=of["condition"]
                    )
                    for of in entry["task_there"][:_MOST_CONDITIONS]
                ]
        if in_brief and "regions" in there and chosen:
            entry["courses"] = _draw_courses(derivatives, there, chosen)


def _look_for_task_maps(derivatives: Derivatives, entry: dict[str, Any]) -> None:
    """Add to a recording where the maps of each condition are, and link to them."""
    entry["task_there"] = []
    for of in entry.get("task_maps") or entry.get("files", {}).get("task_maps") or []:
        paths = {kind: derivatives.root / of[kind] for kind in ("measured", "synthesized")}
        gone = [of[kind] for kind, path in paths.items() if not path.is_file()]
        entry["gone"] += gone
        entry["links"] += [(f"z map of {of['condition']}, {kind}", of[kind]) for kind in paths if of[kind] not in gone]
        if not gone:
            entry["task_there"].append({"condition": str(of["condition"])} | paths)


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

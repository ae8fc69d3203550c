"""The report of a group: how good synthesis is over participants, between them, and for telling groups apart."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bids_eeg2fmri.bids.derivatives import Derivatives
from bids_eeg2fmri.reports import comparison, figures, maps, methods, spread
from bids_eeg2fmri.reports.figures import Picture
from bids_eeg2fmri.reports.pages import render
from bids_eeg2fmri.reports.wording import command_line, number, p_value, percent

if TYPE_CHECKING:
    import nibabel as nib

# Rows that are always shown; more unfold.
_TOP_REGIONS, _MOST_PEOPLE = 10, 30
_KINDS = {"within": "own models", "transfer": "models of others"}
_TABLES = {
    "participants": "participants",
    "models": "every model over participants",
    "within": "scores of the participants’ own models",  # noqa: RUF001
    "transfer": "scores of models of the others",
    "task": "agreement of task maps",
    "shared_stimulus": "regions under a shared stimulus",
    "classification": "classification",
    "probabilities": "probabilities of the classification",
}
_MNI = 4


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
    parts: dict[str, dict[str, Any]] = {
        key: {"reason": "no results", "bundle": None} | dict(summary.get(key) or {}) for key in _KINDS
    }
    pages = {
        who: page
        for row in summary["participants"]
        if (derivatives.root / (page := f"{(who := row['participant_id'])}.html")).is_file()
    }
    images = {key: found for key, part in parts.items() if (found := _load_maps(derivatives, key, part))}
    # One color scale for both, so that they can be compared.
    limit = maps.limit_of([of["r"] for of in images.values()])
    for key, part in parts.items():
        rows = [row for row in summary.get("models") or [] if row.get("trained") == key]
        part |= _arrange(rows, part, key)
        part["maps"] = _draw_maps(images[key], limit) if key in images else []
        part["map_is_template"] = key in images and _is_in_template(images[key]["r"])
    own = {person["participant_id"]: person for person in parts["within"].get("by_participant") or []}
    participants = [
        {"gain": None, "best_baseline": None} | dict(row) | _gain_of(own.get(row["participant_id"]))
        for row in summary["participants"]
    ]
    provenance = dict(summary.get("provenance") or {})
    text = methods.methods_text(summary)
    named = {name: f"group_{name}.tsv" for name in _TABLES}
    return render(
        "group.html.j2",
        verdict=summary["verdict"],
        glance=_glance(parts),
        participants=participants,
        pages=pages,
        most_people=_MOST_PEOPLE,
        group_column=summary.get("group_column"),
        missing=summary.get("missing", []),
        left_out=summary.get("left_out", []),
        not_judged=summary.get("not_judged", []),
        parts=parts,
        task=_arrange_task(summary.get("task") or []),
        shared={"reason": "no results"} | dict(summary.get("shared_stimulus") or {}),
        classification={"reason": "no results", "table": []} | summary.get("classification", {}),
        written=[(_TABLES[name], path) for name, path in named.items() if (derivatives.root / path).is_file()],
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


def _arrange(rows: Sequence[Mapping[str, Any]], part: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Give the tables and figures of what is judged together."""
    people = part.get("by_participant") or []
    models = comparison.complete_scores(rows)
    for row in models:
        if row["kind"] == "model":
            row["kind_words"] = f"{_KINDS[key]}, use the EEG"
        if row["n"] < part.get("n", 0):
            row["kind_words"] += f"; {row['n']} of {part['n']} participants"
    # That the best baseline differs between participants leaves it without patterns of its own.
    detailed = [row for row in models if any(row.get(name) is not None for name in ("amplitude", "region_r_median"))]
    columns = comparison.columns_of(detailed)
    regions = part.get("regions") or []
    bars = [(p["participant_id"], p["chance_r"], p["null_low"], p["null_high"]) for p in people if "chance_r" in p]
    pictures: list[Picture | None] = []
    if bars:
        mean, low, high = (_known(part.get(f"mean_chance_r{end}")) for end in ("", "_low", "_high"))
        pictures = [figures.draw_participants(bars, mean=(mean, low, high)), spread.draw_p_values(people)]
    return {
        "spread": spread.draw_spread(models, [p["skills"] for p in people]) if bars else None,
        "models": models,
        "detailed": detailed,
        "columns": [*columns["detail"], *columns["beyond"]],
        "pictures": [picture for picture in pictures if picture is not None],
        "top_regions": regions[:_TOP_REGIONS],
        "other_regions": regions[_TOP_REGIONS:],
    }


def _known(value: Any) -> float:
    return float("nan") if value is None else float(value)


def _gain_of(person: Mapping[str, Any] | None) -> dict[str, Any]:
    return {} if person is None else {key: person[key] for key in ("gain", "best_baseline")}


def _glance(parts: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str, str]]:
    """List the numbers that matter most: (name, number, what it is to be compared with)."""
    tiles = []
    for key, where in (("within", "within"), ("transfer", "between")):
        part = parts[key]
        if "mean_r" not in part:
            continue
        p = p_value(part["p"])
        tiles.append(
            (
                f"r {where} participants",
                number(part["mean_r"]),
                f"{_interval(part, 'mean_r', number)}p {p if p.startswith('<') else f'= {p}'} against shifts in time",
            )
        )
        tiles.append(
            (
                f"Beyond baselines, {where}",
                percent(part["mean_gain"]),
                f"{_interval(part, 'mean_gain', percent)}change explained, over the best baseline of each",
            )
        )
        if "n_better" in part:
            tiles.append(
                (
                    f"Better, {where}",
                    f"{part['n_better']} of {part['n']}",
                    "participants better than chance and baselines",
                )
            )
    return tiles


def _interval(part: Mapping[str, Any], key: str, write: Any) -> str:
    low, high = part.get(f"{key}_low"), part.get(f"{key}_high")
    return "" if low is None or high is None else f"95\N{NO-BREAK SPACE}% interval {write(low)} to {write(high)}; "


def _load_maps(derivatives: Derivatives, key: str, part: Mapping[str, Any]) -> dict[str, "nib.Nifti1Image"] | None:
    """Open the mean map of r, where it is known, and what it is drawn on."""
    import nibabel as nib
    import numpy as np

    bundle = part.get("map_bundle" if key == "within" else "bundle")
    if "map" not in part or bundle is None:
        return None
    folder = derivatives.root / bundle
    paths = {"r": derivatives.root / part["map"], "template": folder / "template.nii.gz"}
    paths["inside"] = derivatives.root / part["map_count"] if key == "within" else folder / "mask.nii.gz"
    if not all(path.is_file() for path in paths.values()):
        return None
    found = {name: nib.load(path) for name, path in paths.items()}
    if found["template"].shape[:3] != found["r"].shape[:3]:
        return None
    if key == "within":
        count = np.asarray(found["inside"].dataobj)
        inside = count >= max(1, len(part["map_participants"]) / 2)
        found["inside"] = nib.Nifti1Image(inside.astype(np.uint8), found["r"].affine)
    return found


def _draw_maps(images: Mapping[str, "nib.Nifti1Image"], limit: float) -> list[Picture]:
    background = maps.background(images["template"], images["inside"])
    return [
        maps.draw_r_map(background, images["r"], images["inside"], limit=limit),
        maps.draw_glass_brain(images["r"], images["inside"], limit=limit),
    ]


def _is_in_template(image: "nib.Nifti1Image") -> bool:
    return _MNI in (int(image.header["sform_code"]), int(image.header["qform_code"]))


def _arrange_task(task: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Group the rows of each task and condition; find the schedule, which has to be beaten."""
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in task:
        groups.setdefault((str(row.get("task") or ""), str(row["condition"])), []).append(row)
    return [
        {
            "task": name,
            "condition": condition,
            "rows": rows,
            "schedule": next((row for row in rows[1:] if row["model"] == "schedule only"), None),
        }
        for (name, condition), rows in groups.items()
    ]

"""The page of a prediction that came from elsewhere: verdict, baselines, chance, regions."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bids_eeg2fmri.reports import comparison, maps
from bids_eeg2fmri.reports.pages import render
from bids_eeg2fmri.reports.plain import notes_of
from bids_eeg2fmri.reports.wording import command_line

if TYPE_CHECKING:
    import nibabel as nib

_TOP_REGIONS = 10


def judgement_page(
    summary: Mapping[str, Any], r_map: "nib.Nifti1Image", template: "nib.Nifti1Image", mask: "nib.Nifti1Image"
) -> str:
    """Make the page of a judgement.

    Parameters
    ----------
    summary : mapping
        As ``summary.json`` has it.
    r_map, template, mask : Nifti1Image
        r of each voxel, the measured mean image to draw it on, and what was judged.

    Returns
    -------
    str
        HTML that needs no other file and no network.
    """
    provenance = dict(summary["provenance"])
    scores = comparison.complete_scores(summary["scores"])
    scores[0]["kind_words"] = "what is judged"
    regions = sorted(summary["regions"], key=lambda region: -region["r"])
    chance = summary.get("chance") or {}
    models, published = comparison.pivot_published(summary["published"])
    limit = maps.limit_of([r_map])
    return render(
        "judgement.html.j2",
        verdict=summary["verdict"],
        recordings=summary["recordings"],
        notes=notes_of(summary),
        scores=scores,
        columns=comparison.columns_of(scores),
        comparison_picture=comparison.draw_comparison(
            scores, null=chance.get("null_pooled_r") or [], ceiling=summary["ceiling"]["region_median"]
        ),
        chance=chance,
        chance_kinds=comparison.describe_chance(chance),
        chance_picture=comparison.draw_chance(chance),
        published=published,
        published_models=[model for model in models if any(model in row["values"] for row in published)],
        task=comparison.arrange_task(summary["task"]),
        maps=[
            maps.draw_r_map(maps.background(template, mask), r_map, mask, limit=limit),
            maps.draw_glass_brain(r_map, mask, limit=limit),
        ],
        top_regions=regions[:_TOP_REGIONS],
        other_regions=regions[_TOP_REGIONS:],
        settings={stage: summary["settings"][stage] for stage in ("alignment", "bold", "evaluation")},
        settings_hash=summary["settings_hash"],
        command=command_line(provenance.pop("command", None)),
        versions=provenance.pop("versions", {}),
        provenance={key: value for key, value in provenance.items() if value is not None},
    )

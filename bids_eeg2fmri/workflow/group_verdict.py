"""Say in words what the numbers of a group mean: for these participants, and for the people they were drawn from."""

from collections.abc import Mapping
from typing import Any

from bids_eeg2fmri.workflow.verdict import say_p


def judge_group(result: Mapping[str, Any], *, alpha: float) -> dict[str, Any]:
    """Say whether models are better than chance and than what ignores the EEG, within participants and between them.

    Parameters
    ----------
    result : mapping
        ``within`` and ``transfer``: what :func:`bids_eeg2fmri.workflow.over_participants.over_participants` gives, or a ``reason``.

    Returns
    -------
    dict
        ``headline``, ``better_than_chance``, ``better_than_baselines``, ``collapsed``, ``sentences``.
    """
    sentences: list[str] = []
    above_chance, better = {}, {}
    for key, what in (
        ("within", "Trained on each participant's own recordings"),
        ("transfer", "Transferred between participants"),
    ):
        part = result[key]
        if "mean_r" not in part:
            sentences.append(f"{what}: no verdict ({part['reason']}).")
            continue
        above_chance[key] = bool(part["p"] < alpha)
        # With one participant there is no interval, and nothing to compare with 0.
        better[key] = bool(above_chance[key] and part["mean_gain"] > 0 and not part["mean_gain_low"] <= 0)
        sentences.append(" ".join([f"{what}:", *_tell(part, above_chance[key], better[key], alpha)]))
    if "transfer" in better and result["transfer"].get("space") == "native":
        sentences.append(
            "BOLD is in the space of each series as recorded, and voxels at one place were taken for the same part of the brain. "
            "Where nothing has brought these brains to one space before, run the participant level again with --output-spaces "
            "MNI152NLin2009aAsym."
        )
    collapsed = [result[key]["n_collapsed"] == result[key]["n"] for key in better]
    places = {"within": "within participants", "transfer": "between participants"}
    if not better:
        headline = "No verdict: nobody was scored"
    elif all(collapsed):
        headline = "The models give constant images"
    elif any(better.values()):
        headline = f"Better than chance {' and '.join(place for key, place in places.items() if better.get(key))}"
    elif any(above_chance.values()):
        headline = "No better than the baselines that ignore the EEG"
    else:
        headline = "No better than chance"
    return {
        "headline": headline,
        "better_than_chance": any(above_chance.values()) if better else None,
        "better_than_baselines": any(better.values()) if better else None,
        "collapsed": all(collapsed) if better else None,
        "sentences": sentences,
    }


def _tell(part: Mapping[str, Any], above_chance: bool, better: bool, alpha: float) -> list[str]:
    n = part["n"]
    if better:
        what = "better than chance and than baselines that ignore the EEG"
    elif above_chance:
        what = "better than chance, but no better than baselines that ignore the EEG"
    else:
        what = "no better than chance"
    interval = f"95 % interval {part['mean_r_low']:.2f} to {part['mean_r_high']:.2f}; " if n > 1 else ""
    low, high = 100 * part["mean_gain_low"], 100 * part["mean_gain_high"]
    of_gain = f" (95 % interval {low:+.1f} to {high:+.1f})" if n > 1 else ""
    people = "1 participant" if n == 1 else f"{n} participants"
    told = [
        f"{what}; mean r = {part['mean_r']:.2f} over {people} ({interval}{say_p(part['p'])} against shifts in time), skill beyond "
        f"the best such baseline {100 * part['mean_gain']:+.1f} %{of_gain}."
    ]
    if n > 1:
        told.append(f"By themselves, {part['n_better']} of {n} are better than both.")
        least = f", and {n} can't give less than {0.5**n:.3g}" if 0.5**n >= alpha else ""
        told.append(
            f"For the people they were drawn from: {say_p(part['p_population'])} for r, {say_p(part['p_gain_population'])} for the "
            f"skill beyond the baselines (signs flipped over participants{least})."
        )
    if part["n_collapsed"]:
        told.append(f"In {part['n_collapsed']} of {n} the model gives a constant image.")
    regions = [region for region in part["regions"] if region["p"] < alpha]
    if better and regions:
        named = ", ".join(f"{region['name']} (mean r = {region['r']:.2f})" for region in regions[:3])
        told.append(
            f"In {len(regions)} of {len(part['regions'])} regions, corrected for their number: {named}"
            f"{f' and {len(regions) - 3} more' if len(regions) > 3 else ''}."
        )
    return told

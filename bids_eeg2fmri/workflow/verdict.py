"""Say in words what scores mean: better than chance or not, better than what ignores the EEG or not, and where."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from bids_eeg2fmri.bold.regions import Regions
from bids_eeg2fmri.workflow.scoring import RIDGE, Scores

# Standard deviation of the prediction over that of the measurement, over the whole brain. A prediction that small explains at
# most 2 % of the variance of a measurement even if it is right to the last volume.
COLLAPSED = 0.01


def judge(scores: Scores, regions: Regions, *, alpha: float, trained_on: bool = False) -> dict[str, Any]:
    """Say whether the first model is better than chance and than what ignores the EEG.

    Parameters
    ----------
    trained_on : bool
        Whether the model has seen these very volumes; then no verdict is possible.

    Returns
    -------
    dict
        ``headline``, ``better_than_chance``, ``better_than_baselines``, ``collapsed``, ``sentences``. None for what can't
        be told: whether series in an unknown unit have collapsed, for one.
    """
    amplitude = float(scores.table.amplitude.iloc[0])
    collapsed = amplitude < COLLAPSED if np.isfinite(amplitude) else None
    if trained_on:
        return _no_verdict(
            "No verdict: the model was trained on these recordings",
            collapsed,
            "Agreement with volumes that a model has learned from says nothing about new ones.",
        )
    if collapsed:
        return _no_verdict("The model gives a constant image", collapsed, _tell_collapse(scores)) | {
            "better_than_chance": False,
            "better_than_baselines": False,
        }
    chance = scores.chance
    if chance is None:
        return _no_verdict("No verdict: the runs are too short to tell chance", collapsed)
    table = scores.table.set_index("model")
    blind = table[table.kind == "baseline"]
    # A prediction in an unknown unit has no skill; its timing can be compared all the same.
    key = "pooled_skill" if np.isfinite(table.pooled_skill.iloc[0]) else "pooled_r"
    best = str(blind[key].idxmax())
    above_chance = chance.p < alpha
    above_blind = float(table[key].iloc[0]) > max(0.0, float(blind[key].max()))
    sentences = [_tell_chance(scores, alpha), _tell_gain(table, best)]
    if above_chance and above_blind:
        headline = "Better than chance and than the baselines that ignore the EEG"
        sentences += _tell_where(scores, regions, alpha)
        if RIDGE in table.index and table.pooled_r[RIDGE] >= table.pooled_r.iloc[0]:
            sentences.append(
                f"The {RIDGE} does as well or better (r = {table.pooled_r[RIDGE]:.2f}): the network adds nothing here."
            )
    elif above_chance:
        headline = "No better than the baselines that ignore the EEG"
        sentences.append(
            "Its timing fits better than that of EEG of another time, but its size does not; do not rely on it."
            if key == "pooled_skill"
            else "Its timing fits better than that of EEG of another time, but a baseline without EEG does as well."
        )
    else:
        headline = "No better than chance"
        sentences.append("The synthesized series of this participant holds no evidence of a link to the measured BOLD.")
    if table.amplitude.iloc[0] < 0.05:
        sentences.append(f"The prediction hardly changes over time: {_amplitude(scores)}.")
    return {
        "headline": headline,
        "better_than_chance": bool(above_chance),
        "better_than_baselines": bool(above_blind),
        "collapsed": collapsed,
        "sentences": sentences,
    }


def _no_verdict(headline: str, collapsed: bool | None, *sentences: str) -> dict[str, Any]:
    return {
        "headline": headline,
        "better_than_chance": None,
        "better_than_baselines": None,
        "collapsed": collapsed,
        "sentences": list(sentences),
    }


def _tell_collapse(scores: Scores) -> str:
    return (
        f"Whatever the EEG, its prediction stays the same: {_amplitude(scores)}. Such an image can look like a brain and score "
        "well where whole volumes are compared (SSIM); it says nothing about changes over time. A model of bids_eeg2fmri gives one "
        "where inner validation confirms nothing that the EEG would tell."
    )


def _amplitude(scores: Scores) -> str:
    return f"its standard deviation over time is {100 * scores.table.amplitude.iloc[0]:.2g} % of the measured one"


def _tell_chance(scores: Scores, alpha: float) -> str:
    chance = scores.chance
    assert chance is not None
    told = f"Over the brain, r = {scores.table.pooled_r.iloc[0]:z.2f}. "
    if scores.learned_from < 1:
        told += "Models that learned from half as much, so that no two of them judge each other, reach "
    else:
        told += "It is "
    told += (
        f"r = {chance.pooled_r:z.2f} with the EEG of the same time, against {np.median(chance.null_pooled_r):z.2f} in the "
        f"median of {len(chance.null_pooled_r)} shifts of the EEG in time ({say_p(chance.p)})"
    )
    others = [f"{kind} {say_p(other.p)}" for kind, other in scores.others.items()]
    told += f"; against {', against '.join(others)}." if others else "."
    disagree = [kind for kind, other in scores.others.items() if (other.p < alpha) != (chance.p < alpha)]
    # A verdict that hangs on how chance is made is a weak one.
    return told + (f" These do not all agree ({', '.join(disagree)}): take the verdict with care." if disagree else "")


def _tell_gain(table: pd.DataFrame, best: str) -> str:
    if not np.isfinite(table.pooled_skill.iloc[0]):
        return (
            "How much of the changes it explains can't be told without its unit; by r, the best baseline that ignores the EEG, "
            f"{best}, reaches {max(float(table.pooled_r[best]), 0.0):z.2f}."
        )
    skill, blind = (100 * float(value) for value in (table.pooled_skill.iloc[0], table.pooled_skill[best]))
    told = (
        f"It explains {skill:z.1f} % of the changes over time (skill over the mean image); the best baseline that ignores the EEG, "
        f"{best}, explains {max(blind, 0.0):z.1f} %"
    )
    low, high = (100 * float(table[f"gain_{end}"][best]) for end in ("low", "high"))
    return told + (f" (difference, 95 % interval: {low:+z.1f} to {high:+z.1f} points)." if np.isfinite(low) else ".")


def _tell_where(scores: Scores, regions: Regions, alpha: float) -> Iterator[str]:
    chance = scores.chance
    assert chance is not None
    share = float(scores.table.share_significant.iloc[0])
    if np.isfinite(share):
        yield f"{100 * share:.0f} % of the voxels are above chance, at most 5 % of them falsely."
    found = [
        f"{name} (r = {r:.2f}{f', ceiling {ceiling:.2f}' if ceiling > r else ''}, {say_p(p)})"
        for name, r, p, ceiling in sorted(
            zip(regions.names, scores.regions[scores.model].r, chance.region_p, scores.ceilings, strict=True),
            key=lambda item: -item[1],
        )
        if p < alpha
    ]
    if found:
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        yield (
            f"In {len(found)} of {len(regions.names)} regions, corrected for their number: {', '.join(found[:5])}{more}."
        )
    else:
        yield "No region is above chance by itself after correction for their number."


def say_p(p: float) -> str:
    """Write a p-value for a reader: three decimals, and never 0."""
    return "p < 0.001" if p < 0.0005 else f"p = {p:.3f}"

"""How numbers are spread over participants: change explained by each model, and p-values."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bids_eeg2fmri.reports.comparison import COLORS
from bids_eeg2fmri.reports.figures import BLUE, GREEN, GREY, INK, ORANGE, PINK, Picture, blank, picture
from bids_eeg2fmri.reports.wording import count, number, percent

# From so many participants on, the outline of a density says more than their dots.
_CLOUD = 12
# Fewer p-values have no distribution to look at.
_FEWEST_P = 5
# Dots and lines of more participants are smaller as pixels.
_MOST_AS_LINES = 60
# Points farther from the median than so many interquartile ranges would leave no room for the others.
_FAR = 6


def draw_spread(models: Sequence[Mapping[str, Any]], skills: Sequence[Mapping[str, float]]) -> Picture | None:
    """Show the change explained in each participant, model by model, the model joined to what it has to beat.

    Parameters
    ----------
    models : sequence of mapping
        The model, then the best baseline of each participant, then the others; ``model``, ``kind``, ``pooled_skill`` and its
        interval over participants. References are left out, and what explains nothing by definition.
    skills : sequence of mapping of model to skill
        One per participant.
    """
    values = {str(row["model"]): np.array([_known(of.get(row["model"])) for of in skills]) for row in models}
    shown = [
        row
        for row in models
        if row["kind"] != "reference" and np.isfinite(values[row["model"]]).any() and np.any(values[row["model"]])
    ]
    if len(skills) < 2 or not shown or shown[0]["kind"] != "model":
        return None
    everything = np.concatenate([values[row["model"]] for row in shown])
    everything = 100 * everything[np.isfinite(everything)]
    low, high = _limits(everything)
    n_outside = int(np.sum((everything < low) | (everything > high)))
    jitter = np.random.default_rng(0).uniform(-0.1, 0.1, len(skills))
    rows = np.arange(len(shown))[::-1] * 1.0
    model = values[shown[0]["model"]]
    against = str(models[1]["model"]) if len(models) > 1 else ""
    paired = values[against] if len(shown) > 1 and shown[1]["model"] == against else np.zeros(len(model))
    with blank(1.35 + 0.72 * len(shown)) as figure:
        axes = figure.subplots()
        axes.axvline(0, color=INK, linewidth=1, linestyle=(0, (4, 2)), label="as good as predicting no change")
        if len(shown) > 1 and shown[1]["model"] == against:
            for better, color, dashes in ((True, ORANGE, "-"), (False, GREY, ":")):
                use = np.flatnonzero((model > paired) == better)
                ends = np.clip(100 * np.stack([model[use], paired[use]]), low, high)
                heights = np.stack([rows[0] + jitter[use], rows[1] + jitter[use]])
                axes.plot(ends, heights, color=color, linestyle=dashes, alpha=0.55, linewidth=1)
        for position, row in zip(rows, shown, strict=True):
            color = COLORS[row["kind"]]
            x = 100 * values[row["model"]]
            known = np.isfinite(x)
            # The lines between the first two rows are left free: the cloud of the second hangs below it.
            _draw_cloud(axes, x[known], position, color, up=position != rows[0] - 1)
            axes.plot(
                np.clip(x, low, high), position + jitter, "o", color=color, markersize=5, alpha=0.65, markeredgewidth=0
            )
            mean, least, most = (100 * _known(row.get(f"pooled_skill{end}")) for end in ("", "_low", "_high"))
            axes.hlines(position, least, most, color=INK, linewidth=2, zorder=4)
            axes.plot(
                mean, position, "D", color="white", markeredgecolor=INK, markeredgewidth=1.5, markersize=7, zorder=5
            )
        axes.plot(
            [], [], "D-", color=INK, markerfacecolor="white", markersize=7, linewidth=2, label="mean, 95 % interval"
        )
        margin = 0.04 * (high - low)
        axes.set_xlim(low - margin, high + margin)
        axes.set_ylim(-0.65, len(shown) - 0.35)
        axes.set_yticks(rows, [_short(str(row["model"])) for row in shown])
        axes.tick_params(axis="y", length=0)
        axes.locator_params(axis="x", nbins=6)
        axes.set_xlabel("change explained (%)")
        figure.legend(loc="outside upper left", fontsize=10, ncols=2, columnspacing=1.2, handlelength=1.8)
        told = [
            f"{row['model']} {percent(row['pooled_skill'])} in the mean, from {percent(np.nanmin(values[row['model']]))} to "
            f"{percent(np.nanmax(values[row['model']]))}"
            for row in shown
        ]
        n_better = int(np.sum(model > paired))
        beaten = f"In {n_better} of {count(len(skills), 'participant')} the model explains more than the best baseline"
        outside = (
            f" {count(n_outside, 'dot')} beyond the edge {'is' if n_outside == 1 else 'are'} drawn at it."
            if n_outside
            else ""
        )
        return picture(
            figure,
            alt=f"Change explained over {count(len(skills), 'participant')}: {'; '.join(told)}. {beaten}.",
            caption=f"A dot is a participant. Lines join the model to the baseline that explains most in the same participant: "
            f"orange where the model explains more, dotted where not. {beaten}. "
            f"The mean image, at 0, is among the baselines.{outside}",
            pixels=len(skills) > _MOST_AS_LINES,
        )


def draw_p_values(people: Sequence[Mapping[str, Any]]) -> Picture | None:
    """Show which share of the participants has a p up to any value, and where that would be if there were nothing.

    Parameters
    ----------
    people : sequence of mapping
        ``p`` against shifts in time, and ``others``, each with ``kind`` and ``p``.
    """
    found: dict[str, list[float]] = {"EEG shifted in time": [person["p"] for person in people]}
    for person in people:
        for other in person.get("others") or []:
            found.setdefault(str(other["kind"]), []).append(other["p"])
    found = {kind: known for kind, p in found.items() if len(known := [v for v in p if v is not None]) >= _FEWEST_P}
    if not found:
        return None
    told = []
    with blank(4.0) as figure:
        axes = figure.subplots()
        n = min(len(p) for p in found.values())
        # Dvoretzky, Kiefer and Wolfowitz: the whole curve of n uniform values stays within it in 95 % of cases.
        wide = np.sqrt(np.log(2 / 0.05) / (2 * n))
        at = np.linspace(0, 1, 101)
        axes.fill_between(at, np.clip(at - wide, 0, 1), np.clip(at + wide, 0, 1), color="#dde1e7", linewidth=0,
                          label="95 % of curves by chance")  # fmt: skip
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=1.5, label="no link at all")
        axes.axvline(0.05, color=INK, linewidth=1, linestyle=(0, (4, 2)), label="p = 0.05")
        looks = zip((ORANGE, BLUE, GREEN, PINK, INK), ("-", "--", "-.", ":", "-"), strict=True)
        for (kind, p), (color, dashes) in zip(found.items(), looks, strict=False):
            ordered = np.sort(p)
            share = np.arange(1, len(p) + 1) / len(p)
            axes.step(
                [0, *ordered, 1], [0, *share, 1], where="post", color=color, linestyle=dashes, linewidth=2, label=kind
            )
            told.append(
                f"{kind}: {int(np.sum(ordered <= 0.05))} of {len(p)} at most 0.05, the median is {number(np.median(p), 3)}"
            )
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1.02)
        axes.set_xlabel("p of a participant")
        axes.set_ylabel("share of participants up to it")
        figure.legend(loc="outside upper left", fontsize=10, ncols=2, columnspacing=1.2)
        return picture(
            figure,
            alt=f"Share of participants up to each p. {'; '.join(told)}. By chance, 5 % of them would be at most 0.05.",
            caption="Without any link between EEG and BOLD, p-values are spread evenly: the curve follows the grey line, within "
            f"the grey band for all of it in 95 % of groups of {n}. Where many have a small p, it rises steeply at the left.",
        )


def _draw_cloud(axes: Any, x: np.ndarray, position: float, color: str, *, up: bool) -> None:
    if len(x) < _CLOUD or np.ptp(x) == 0:
        return
    from scipy.stats import gaussian_kde

    low, high = _limits(x)
    inside = x[(x >= low) & (x <= high)]
    if len(inside) < _CLOUD or np.ptp(inside) == 0:
        return
    at = np.linspace(inside.min(), inside.max(), 80)
    density = gaussian_kde(inside)(at)
    edge = position + (0.16 if up else -0.16)
    height = (0.3 if up else -0.3) * density / density.max()
    axes.fill_between(at, edge, edge + height, color=color, alpha=0.3, linewidth=0)


def _limits(x: np.ndarray) -> tuple[float, float]:
    """Keep outliers from squeezing the rest: the range of what lies within some interquartile ranges of the median."""
    first, middle, third = np.percentile(x, [25, 50, 75])
    reach = _FAR * max(third - first, 1e-6)
    inside = x[np.abs(x - middle) <= reach]
    return float(inside.min()), float(inside.max())


def _short(name: str) -> str:
    """Break a long name into two lines."""
    if len(name) <= 16 or " " not in name:
        return name
    middle = min((i for i, letter in enumerate(name) if letter == " "), key=lambda i: abs(i - len(name) / 2))
    return f"{name[:middle]}\n{name[middle + 1 :]}"


def _known(value: Any) -> float:
    return np.nan if value is None else float(value)

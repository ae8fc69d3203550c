"""Models beside each other and beside chance: the figures, and what the tables need that the summary does not hold."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bids_eeg2fmri.reports.figures import BLUE, GREEN, GREY, INK, ORANGE, PINK, Picture, blank, picture
from bids_eeg2fmri.reports.wording import count, number, p_value

KINDS = {
    "model": "this report",
    "linear": "linear model",
    "baseline": "baseline",
    "reference": "reference, not to be beaten",
}
COLORS = {"model": ORANGE, "linear": BLUE, "baseline": GREY, "reference": PINK}
# Numbers besides r over the brain and change explained: (key, heading, whether it is a share), where any row has them.
_COLUMNS = {
    "detail": (
        ("voxel_r_25", "r of voxels,\nfirst quartile", False),
        ("voxel_r_median", "Median", False),
        ("voxel_r_75", "Third\nquartile", False),
        ("voxel_r_95", "Top 5 %\nare above", False),
        ("share_significant", "Voxels\nabove chance", True),
        ("region_r_median", "r of a typical\nregion", False),
        ("best_region_r", "r of the\nbest region", False),
        ("amplitude", "Amplitude,\nwhole brain", False),
        ("amplitude_median", "Amplitude,\nmedian voxel", False),
    ),
    "beyond": (
        ("spatial_r_median", "Pattern of\na volume, r", False),
        ("connectivity_r", "Connectivity,\nr", False),
        ("spectral_r", "Spectra,\nr", False),
        ("pooled_r_no_global", "r without\nglobal signal", False),
    ),
}
# Fewer draws are shown one by one.
_FEW = 20


def complete_scores(scores: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Add to each row its kind and its words, where an older summary lacks them, and whether it does better.

    ``against`` says what the difference of the first row to this one tells: ``better`` (its interval is above 0),
    ``worse``, ``open`` (it holds 0), or nothing where there is no interval.
    """
    rows = []
    for position, score in enumerate(scores):
        kind = score.get("kind")
        if kind not in KINDS:
            kind = "model" if position == 0 else "linear" if score.get("looks_at_eeg") else "baseline"
        low, high = _number(score, "gain_low"), _number(score, "gain_high")
        against = ""
        if position and kind != "reference" and np.isfinite([low, high]).all():
            against = "better" if low > 0 else "worse" if high < 0 else "open"
        words = KINDS[kind]
        if kind != "reference":
            words += ", uses the EEG" if score.get("looks_at_eeg") else ", ignores the EEG"
        rows.append({**score, "kind": kind, "kind_words": words, "against": against})
    return rows


def columns_of(scores: Sequence[Mapping[str, Any]]) -> dict[str, list[tuple[str, str, bool]]]:
    """List, by table, the columns that any row has a number for."""
    return {
        table: [column for column in columns if any(np.isfinite(_number(row, column[0])) for row in scores)]
        for table, columns in _COLUMNS.items()
    }


def best_blind(scores: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Find the baseline that ignores the EEG and explains most."""
    rows = [row for row in scores if row["kind"] == "baseline" and np.isfinite(_number(row, "pooled_skill"))]
    return max(rows, key=lambda row: row["pooled_skill"], default=None)


def draw_comparison(
    scores: Sequence[Mapping[str, Any]], *, null: Sequence[float] = (), ceiling: float | None = None
) -> Picture | None:
    """Show r over the brain of every row with its interval, what chance gives, and what could be reached.

    Parameters
    ----------
    scores : sequence of mapping
        See :func:`complete_scores`.
    null : sequence of float
        r over the brain under shifts in time.
    ceiling : float or None
        r that any model could reach in a typical region.
    """
    names = [str(row["model"]) for row in scores]
    keys = ("pooled_r", "pooled_r_low", "pooled_r_high", "region_r_median")
    r, low, high, regional = (np.array([_number(row, key) for row in scores]) for key in keys)
    if not np.isfinite(r).any():
        return None
    positions = np.arange(len(names))[::-1]
    chance = np.percentile(null, [2.5, 97.5]) if len(null) >= _FEW else None
    with blank(1.5 + 0.42 * len(names)) as figure:
        axes = figure.subplots()
        if chance is not None:
            axes.axvspan(*chance, color="#dde1e7", linewidth=0, label="95 % of chance")
        axes.axvline(0, color=GREY, linewidth=1)
        colors = [COLORS[row["kind"]] for row in scores]
        axes.hlines(positions, low, high, color=colors, linewidth=2.5)
        axes.scatter(r, positions, s=64, color=colors, zorder=3)
        # Drawn for the legend alone: the dots have a color per kind.
        axes.plot([], [], "o-", color=INK, markersize=8, linewidth=2.5, label="over the brain, 95 % interval")
        if np.isfinite(regional).any():
            axes.plot(regional, positions, "D", markerfacecolor="white", markeredgecolor=INK, markersize=6,
                      label="in a typical region")  # fmt: skip
        if ceiling is not None:
            axes.axvline(
                ceiling, color=GREEN, linestyle=(0, (4, 2)), linewidth=1.8, label="ceiling of a typical region"
            )
        axes.set_yticks(positions, names)
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(-0.6, len(names) - 0.4)
        axes.locator_params(axis="x", nbins=6)
        axes.set_xlabel("r, synthesized against measured")
        figure.legend(loc="outside upper left", fontsize=10, ncols=2, columnspacing=1.2, handletextpad=0.6)
        told = [
            f"{name} {number(at)}"
            + (f" ({number(least)} to {number(most)})" if np.isfinite([least, most]).all() else "")
            for name, at, least, most in zip(names, r, low, high, strict=True)
        ]
        alt = f"r over the brain with 95 % intervals: {'; '.join(told)}."
        caption = "Dots: r over the whole brain; lines: 95 % intervals."
        if chance is not None:
            alt += f" 95 % of predictions from EEG of another time lie between {number(chance[0])} and {number(chance[1])}."
            caption += " Grey: where 95 % of predictions from EEG of another time lie, by the models that tell chance."
        if ceiling is not None:
            alt += f" The ceiling of r in a typical region is {number(ceiling)}."
            caption += (
                " Dashed: the r of a perfect model in a typical region, estimated by how one half of its voxels agrees with "
                "the other. It is to be compared with the diamonds."
            )
        return picture(figure, alt=alt, caption=caption)


def draw_chance(chance: Mapping[str, Any]) -> Picture | None:
    """Show the r of predictions that have nothing to do with the EEG of the moment, one panel per kind.

    Parameters
    ----------
    chance : mapping
        As in the summary: the r with the EEG of the same time, the null distribution of shifts in time, and ``others``.
    """
    observed = _number(chance, "pooled_r")
    kinds = [{"kind": "EEG shifted in time"} | dict(chance), *(chance.get("others") or [])]
    nulls = [
        (str(of["kind"]), np.array(of["null_pooled_r"], dtype=float), of.get("p"))
        for of in kinds
        if of.get("null_pooled_r")
    ]
    nulls = [(kind, null[np.isfinite(null)], p) for kind, null, p in nulls if np.isfinite(null).any()]
    if not nulls or not np.isfinite(observed):
        return None
    everything = np.concatenate([null for _, null, _ in nulls])
    # The same bins in all panels, so that their widths can be compared.
    edges = np.histogram_bin_edges(everything, bins=min(40, max(8, len(everything) // 15))).tolist()
    told = []
    with blank(1.2 + 1.35 * len(nulls)) as figure:
        panels = figure.subplots(len(nulls), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (kind, null, p) in zip(panels, nulls, strict=True):
            if len(null) < _FEW:
                axes.vlines(null, 0, 0.6, color=GREY, linewidth=3, label="chance")
                axes.set_ylim(0, 1)
                axes.set_yticks([])
            else:
                axes.hist(null, bins=edges, color=GREY, label="chance")
                axes.locator_params(axis="y", nbins=3, integer=True)
            axes.axvline(
                observed, color=ORANGE, linewidth=2.5, label=f"EEG of the same time: r = {number(observed, 3)}"
            )
            axes.set_title(f"{kind[:1].upper()}{kind[1:]} ({len(null)})")
            told.append(
                f"{kind}: {count(len(null), 'draw')} from {number(null.min(), 3)} to {number(null.max(), 3)}, of which "
                f"{int(np.sum(null >= observed))} reach it, p = {p_value(p)}"
            )
        panels[-1].locator_params(axis="x", nbins=5)
        panels[-1].set_xlabel("r over the whole brain")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=2, fontsize=10)
        return picture(
            figure,
            alt=f"Histograms of r by chance beside that with the EEG of the same time, {number(observed, 3)}. {'; '.join(told)}.",
            caption="Each kind of chance keeps something of the prediction and takes the EEG of the moment away. If the line lies "
            "within the grey bars, the prediction is no better than one that has nothing to do with the EEG. In brackets: the "
            "number of draws.",
        )


def describe_chance(chance: Mapping[str, Any]) -> list[tuple[str, str, Any]]:
    """List every kind of chance: name, what it keeps, and p."""
    rows = [("EEG shifted in time", chance.get("p"))] if chance.get("p") is not None else []
    rows += [(str(other["kind"]), other.get("p")) for other in chance.get("others") or []]
    return [(kind, _KEPT.get(kind, ""), p) for kind, p in rows]


_KEPT = {
    "EEG shifted in time": "keeps everything but the timing",
    "phase-randomized EEG": "keeps how fast the power of the EEG changes, and how channels and frequencies go together",
    "phase-randomized prediction": "keeps how fast the prediction changes, and how its voxels go together",
    "EEG of another run": "is a real prediction, for other minutes of the same person",
    "EEG of another participant": "is a real prediction, for another person",
}


def pivot_published(published: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[dict[str, Any]]]:
    """Arrange published metrics with a row per metric and a column per model, the mean image always among them."""
    models = list(dict.fromkeys(str(row["model"]) for row in published))
    # The one that looks at the EEG first, then what it has to be compared with.
    models = (
        [m for m in models if "mean image" not in m] + ["mean image"] + [m for m in models if m == "own mean image"]
    )
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for row in published:
        key = (str(row["paper"]), str(row["metric"]))
        rows.setdefault(key, {})[str(row["model"])] = row.get("value")
    return models, [{"paper": paper, "metric": metric, "values": values} for (paper, metric), values in rows.items()]


def arrange_task(task: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Group the agreement of task maps by recording and condition; say whether the first model exceeds the schedule there."""
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in task:
        groups.setdefault((str(row.get("recording") or ""), str(row["condition"])), []).append(row)
    arranged = []
    for (recording, condition), rows in groups.items():
        schedule = next((row for row in rows[1:] if row["model"] == "schedule only"), None)
        better = schedule is not None and _number(rows[0], "r") > _number(schedule, "r")
        arranged.append(
            {"recording": recording, "condition": condition, "rows": rows, "schedule": schedule, "better": better}
        )
    return arranged


def _number(row: Mapping[str, Any], key: str) -> float:
    """Give a number of a row; NaN, which is neither above nor below anything, where it is not known."""
    value = row.get(key)
    return float("nan") if value is None else float(value)

"""Charts as images inside the page, each with its content in words for those who don't see it."""

import base64
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from bids_eeg2fmri.reports.wording import count, number, percent, place

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Distinct for color-blind eyes and in print (Okabe and Ito).
INK, GREY, BLUE, ORANGE, GREEN, PINK = "#1c2330", "#8a919c", "#0072b2", "#d55e00", "#009e73", "#cc79a7"
# Lines and dots of more volumes are smaller as pixels.
MOST_AS_LINES = 400
# Wide enough for a column on a desktop; its letters are still read when a phone makes it 340 pixels wide.
WIDTH_INCH = 5.2


@dataclass(frozen=True)
class Picture:
    """An image and what it shows.

    Attributes
    ----------
    uri : str
        The image itself, as a ``data:`` URI.
    alt : str
        What it shows, in words and numbers.
    caption : str
        How to read it.
    width_px, height_px : int
        On a screen of 96 pixels per inch.
    """

    uri: str
    alt: str
    caption: str
    width_px: int
    height_px: int


@contextmanager
def blank(height_inch: float, *, layout: Literal["constrained"] | None = "constrained") -> Iterator["Figure"]:
    """Give an empty figure in the style of the reports; draw and turn it into a picture inside the ``with``."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    style: Any = {
        "font.family": "DejaVu Sans",  # comes with matplotlib
        "font.size": 11,
        "axes.titlesize": 11,
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": GREY,
        "axes.labelcolor": INK,
        "text.color": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "legend.frameon": False,
        "lines.linewidth": 1.4,
        "text.parse_math": False,  # a channel or condition may be called "$"
        "svg.fonttype": "path",
        "svg.hashsalt": "bids_eeg2fmri",  # the same numbers give the same file
    }
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(WIDTH_INCH, height_inch), layout=layout, facecolor="white")
        FigureCanvasAgg(figure)
        yield figure


def picture(figure: "Figure", *, alt: str, caption: str = "", pixels: bool = False) -> Picture:
    """Turn a figure into a picture: lines as SVG, images as pixels."""
    buffer = io.BytesIO()
    if pixels:
        figure.savefig(buffer, format="png", dpi=144)
        content = _fewer_colors(buffer)
    else:
        figure.savefig(buffer, format="svg", metadata={"Date": None})
        # Hundredths of a point are not seen, and the digits after them are half of the file.
        content = re.sub(
            rb' (?:d|x|y)="[^"]*"', lambda found: re.sub(rb"(\.\d\d)\d+", rb"\1", found[0]), buffer.getvalue()
        )
    kind = "png" if pixels else "svg+xml"
    uri = f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
    width, height = figure.get_size_inches()
    return Picture(uri, alt, caption, round(96 * width), round(96 * height))


def _fewer_colors(png: io.BytesIO) -> bytes:
    """Keep the 256 colors that serve a picture best: its bytes are a third of those of all colors."""
    from PIL import Image

    small = io.BytesIO()
    Image.open(png).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(small, format="png", optimize=True)
    return small.getvalue()


def draw_courses(table: pd.DataFrame, chosen: Sequence[tuple[str, str]]) -> Picture:
    """Show measured and synthesized signal change of some regions over time.

    Parameters
    ----------
    table : DataFrame
        ``onset`` and, for each region, ``<name>_measured``, ``<name>_synthesized`` and, if known, ``<name>_low`` and
        ``<name>_high``, between which 95 % of the measurement is to be expected.
    chosen : sequence of (title, region)
    """
    onset = table["onset"].to_numpy(dtype=float)
    time_s = onset - onset[0]
    told: list[str] = []
    covered: list[str] = []
    with blank(2.3 * len(chosen) + 0.5) as figure:
        panels = figure.subplots(len(chosen), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (title, region) in zip(panels, chosen, strict=True):
            missing = np.full(len(table), np.nan)
            measured, synthesized, low, high = (
                table.get(f"{region}_{kind}", pd.Series(missing)).to_numpy(dtype=float)
                for kind in ("measured", "synthesized", "low", "high")
            )
            r = _correlation(measured, synthesized)
            known = np.isfinite(measured) & np.isfinite(low) & np.isfinite(high)
            if known.any():
                axes.fill_between(time_s, low, high, color=ORANGE, alpha=0.18, linewidth=0, label="95 % band")
                share = np.mean((measured >= low)[known] & (measured <= high)[known])
                covered.append(f"{percent(share, 0)} of the measured volumes of {region}")
            axes.plot(time_s, measured, color="#59616d", linewidth=1.1, label="measured")
            axes.plot(time_s, synthesized, color=ORANGE, linewidth=2, label="synthesized from EEG")
            axes.set_title(f"{title} region, {region}: r = {number(r)}")
            axes.set_ylabel("signal change (%)")
            told.append(
                f"{title} region, {region} ({place(region) or 'no position'}): r = {number(r)}; the measured course varies "
                f"by {number(_spread(measured))} %, the synthesized one by {number(_spread(synthesized))} % (standard "
                "deviation)."
            )
        panels[-1].set_xlabel("time from the first volume (s)")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=3, fontsize=10,
                      columnspacing=1.2, handlelength=1.6)  # fmt: skip
        band = (
            f" The band holds {' and '.join(covered)}; 95 % are to be expected. It is as wide as the errors in the other "
            "held-out blocks of all runs."
            if covered
            else ""
        )
        return picture(
            figure,
            alt=f"Measured and synthesized signal change over time. {' '.join(told)}{band}",
            caption="Drift and the mean of each held-out block are removed from both. Best: the region with the highest r over all "
            "recordings, chosen afterwards, which flatters the model; typical: the region with the median r. The synthesized "
            f"course is smaller by nature: a prediction holds only what it is sure of.{band}",
            pixels=len(table) > MOST_AS_LINES,
        )


def draw_training(histories: Sequence[Mapping[str, Any]]) -> Picture:
    """Show the loss of each fold over the epochs, or over what a solver tried, one line per inner split."""
    from matplotlib.lines import Line2D

    tried = str(histories[0].get("tried", "epoch"))
    by_epochs = tried == "epoch"

    colors, dashes = (BLUE, ORANGE, GREEN, PINK, INK), ("-", "--", "-.", ":")
    with blank(3.5) as figure:
        # Each has its own scale: penalties are part of the one and not of the other.
        panels = figure.subplots(1, 2)
        handles = []
        for fold, history in enumerate(histories):
            # Colors repeat after five folds; the dashes then tell them apart.
            look: dict[str, Any] = {"color": colors[fold % 5], "linestyle": dashes[fold // 5 % 4], "linewidth": 1.1}
            for axes, kind in zip(panels, ("training_loss", "validation_loss"), strict=True):
                for loss in history[kind]:
                    axes.plot(np.arange(1, len(loss) + 1), loss, **look)
            panels[1].axvline(history["best_epoch"], **look | {"linewidth": 0.8, "alpha": 0.6})
            handles.append(Line2D([], [], **look, label=f"{fold + 1}"))
        panels[1].axhline(1, color=GREY, linewidth=2.5, zorder=0)
        panels[0].set_title("Training")
        panels[0].set_ylabel("loss, penalties included")
        panels[1].set_title("Validation")
        panels[1].set_ylabel("squared error / variance")
        for axes in panels:
            axes.set_xlabel(tried)
        figure.legend(handles=handles, title="fold", loc="outside upper left", ncols=min(len(handles), 5), fontsize=10,
                      alignment="left", columnspacing=1.2, handlelength=1.6)  # fmt: skip
        lowest = [min(loss) for history in histories for loss in history["validation_loss"] if loss]
        epochs = [int(history["best_epoch"]) for history in histories]
        return picture(
            figure,
            alt=f"Loss over {'the epochs' if by_epochs else 'what was tried'} for {count(len(histories), 'fold')}. The best "
            f"validation losses lie between {number(min(lowest, default=None))} and "
            f"{number(max(lowest, default=None))}; 1 is as good as predicting no change. "
            + (
                f"The final networks are trained for {min(epochs)} to {max(epochs)} epochs."
                if by_epochs
                else f"Chosen are the candidates {min(epochs)} to {max(epochs)}, counted along the axis."
            ),
            caption="One line per fold and inner split; upright lines: "
            + (
                "the number of epochs for which the final network"
                if by_epochs
                else "the candidate by which the final model"
            )
            + f" of a fold is {'trained' if by_epochs else 'computed'}. At the grey line, 1, a model is as good as predicting no "
            "change. Validation data is part of the training data of its fold; the held-out volumes are not looked at.",
        )


def draw_participants(rows: Sequence[tuple[str, float, float, float]], *, mean: tuple[float, float, float]) -> Picture:
    """Show the r of each participant beside what chance gives.

    Parameters
    ----------
    rows : sequence of (participant, r, low, high)
        With the 95 % range of r under shifts in time.
    mean : (r, low, high)
        Over participants, with its 95 % interval.
    """
    rows = sorted(rows, key=lambda row: row[1])
    names, r, low, high = (list(column) for column in zip(*rows, strict=True))
    positions = np.arange(len(rows)) + 1.5
    above = sum(value > limit for value, limit in zip(r, high, strict=True))
    # With very many participants the rows get narrow and lose their names.
    inches = min(0.3 * len(rows), 9.0)
    bottom = 1.5 - max(1.2, 0.03 * len(rows))  # where the mean goes, below the rows however narrow they are
    with blank(1.75 + inches) as figure:
        axes = figure.subplots()
        axes.axvline(0, color=GREY, linewidth=1)
        width = min(7.0, 60 * inches / len(rows))
        axes.hlines(positions, low, high, color="#c3c8d0", linewidth=width, label="95 % of shifts in time: chance")
        axes.plot(r, positions, "o", color=ORANGE, markersize=max(3.0, min(7.0, width)), label="participant")
        axes.errorbar(
            mean[0], bottom, xerr=[[mean[0] - mean[1]], [mean[2] - mean[0]]], fmt="D", color=BLUE, capsize=4, markersize=7,
            label="mean, 95 % interval",
        )  # fmt: skip
        few = len(rows) <= 40
        axes.set_yticks([bottom, *positions] if few else [bottom], ["mean", *names] if few else ["mean"])
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(bottom - max(0.6, 0.015 * len(rows)), len(rows) + 1)
        axes.locator_params(axis="x", nbins=6)
        axes.set_xlabel("r over the whole brain")
        figure.legend(loc="outside upper left", fontsize=10)
        return picture(
            figure,
            alt=f"r over the whole brain of {count(len(rows), 'participant')}, from {number(r[0])} ({names[0]}) to "
            f"{number(r[-1])} ({names[-1]}); the mean is {number(mean[0])}, 95 % interval {number(mean[1])} to "
            f"{number(mean[2])}. {above} of them lie above the range of chance.",
            caption="Sorted by r. A dot within its grey bar is no better than a prediction shifted in time.",
        )


def _correlation(a: np.ndarray, b: np.ndarray) -> float | None:
    use = np.isfinite(a) & np.isfinite(b)
    if use.sum() < 3 or a[use].std() == 0 or b[use].std() == 0:
        return None
    return float(np.corrcoef(a[use], b[use])[0, 1])


def _spread(course: np.ndarray) -> float | None:
    known = course[np.isfinite(course)]
    return float(known.std()) if len(known) else None

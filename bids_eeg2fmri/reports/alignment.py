"""Where the volumes of a recording lie on the clock of its EEG: the figure, and the same in words."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bids_eeg2fmri.reports.figures import BLUE, GREY, INK, MOST_AS_LINES, ORANGE, PINK, Picture, blank, picture
from bids_eeg2fmri.reports.wording import count, number, ranges

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# How the plan calls volumes that were seen in the EEG itself: they lie on a line by construction.
ARTEFACT = "gradient artefact"
# Below this share of the timeline the markers get a time axis of their own.
SHARED_AXIS = 0.5


@dataclass(frozen=True)
class _Series:
    """The volumes of a recording, as far as its entry in the summary tells.

    Attributes
    ----------
    onsets_s, residual_ms : array of shape (volumes,)
        NaN in ``residual_ms`` where a volume has no marker.
    others_s : array
        Markers of the same code that are no volume's.
    duration_s : float or None
        Of the EEG.
    tr_s : float
        By the EEG's clock.
    drift_ppm, jitter_ms : float
    by_artefact : bool
    """

    onsets_s: np.ndarray
    residual_ms: np.ndarray
    others_s: np.ndarray
    duration_s: float | None
    tr_s: float
    drift_ppm: float
    jitter_ms: float
    by_artefact: bool

    @property
    def marked(self) -> np.ndarray:
        return np.isfinite(self.residual_ms)

    @property
    def too_early(self) -> np.ndarray:
        return self.onsets_s < 0

    @property
    def too_late(self) -> np.ndarray:
        return self.onsets_s >= (np.inf if self.duration_s is None else self.duration_s)

    @property
    def filled(self) -> np.ndarray:
        return ~(self.marked | self.too_early | self.too_late)

    @property
    def end_s(self) -> float:
        return float(self.onsets_s[-1]) + self.tr_s


def draw_alignment(entry: Mapping[str, Any]) -> Picture | None:
    """Show the volumes on the timeline of the EEG file, and how far their markers lie from the clock model.

    Parameters
    ----------
    entry : mapping
        Of a recording, in the summary.

    Returns
    -------
    Picture or None
        None where the summary does not tell where the volumes are. Without markers the timeline only.
    """
    series = _read(entry)
    if series is None:
        return None
    compared = bool(series.marked.any()) and not series.by_artefact
    lanes = list(_lanes(series))
    low = min(0.0, series.onsets_s[0], *series.others_s)
    high = max(series.duration_s or 0.0, series.end_s, *series.others_s)
    shared = bool(series.end_s - series.onsets_s[0] >= SHARED_AXIS * (high - low))
    heights = [0.4 * len(lanes), 1.55][: 1 + compared]
    # Besides the axes: ticks and labels below each, title and legend of the lower one.
    with blank(sum(heights) + (1.1 if compared else 0.55) + (0.45 if compared and not shared else 0.0)) as figure:
        panels = figure.subplots(len(heights), 1, squeeze=False, sharex=shared, height_ratios=heights)[:, 0]
        panels[0].set_xlim(low - 0.01 * (high - low), high + 0.01 * (high - low))
        _draw_lanes(panels[0], lanes, series, least_s=0.006 * (high - low))
        if compared:
            _draw_residuals(panels[1], series)
            if not shared:
                panels[0].set_xlabel("time in the EEG file (s)")
                panels[1].set_xlim(series.onsets_s[0] - series.tr_s, series.end_s)
        panels[-1].set_xlabel("time in the EEG file (s)")
        below = ". Below, how far the markers lie from the clock model. " if compared else ". "
        told = [label for label, *_ in lanes]
        return picture(
            figure,
            alt="; ".join([f"Timeline. {told[0]}", *told[1:], *_details(series)])
            + below
            + " ".join(describe_clock(entry)),
            caption=_how_to_read(series, compared=compared),
            pixels=len(series.onsets_s) > MOST_AS_LINES,
        )


def describe_clock(entry: Mapping[str, Any]) -> list[str]:
    """Say in sentences how well the markers fit one clock, and how that differs from the scanner's."""
    series = _read(entry)
    if series is None:
        return []
    if series.by_artefact:
        return [
            _drift(series),
            "The onsets come from the gradient artefact, which gives a line: there is no jitter to tell.",
        ]
    if not series.marked.any():
        return ["No volume has a marker, so nothing tells jitter and drift."]
    largest = float(np.nanmax(np.abs(series.residual_ms)))
    jitter = f"by {number(series.jitter_ms)} ms (standard deviation), " if np.isfinite(series.jitter_ms) else ""
    return [_drift(series), f"The markers scatter around the clock model {jitter}at most by {number(largest)} ms."]


def _read(entry: Mapping[str, Any]) -> _Series | None:
    told = entry.get("alignment") or {}
    residual_ms, onsets_s, others_s = (
        np.array(told.get(key) or [], dtype=float) for key in ("residual_ms", "onset_s", "others_s")
    )
    drift_ppm, jitter_ms = (np.nan if told.get(key) is None else told[key] for key in ("drift_ppm", "jitter_ms"))
    tr_s, start_s = entry.get("tr_s"), entry.get("first_volume_s")
    if not len(onsets_s):
        if not len(residual_ms) or tr_s is None or start_s is None:
            return None
        # An older summary has the residuals alone.
        onsets_s = start_s + tr_s * (1 + 1e-6 * np.nan_to_num(drift_ppm)) * np.arange(len(residual_ms))
    if len(residual_ms) != len(onsets_s):
        residual_ms = np.full(len(onsets_s), np.nan)
    tr_s = (onsets_s[-1] - onsets_s[0]) / (len(onsets_s) - 1) if len(onsets_s) > 1 else tr_s or 0.0
    return _Series(
        onsets_s,
        residual_ms,
        np.sort(others_s),
        told.get("eeg_duration_s"),
        float(tr_s),
        float(drift_ppm),
        float(jitter_ms),
        str(told.get("code") or "").startswith(ARTEFACT),
    )


def _lanes(series: _Series) -> Iterator[tuple[str, str, np.ndarray | None]]:
    """Give label, color and which volumes of each lane; None for the EEG and for other markers."""
    if series.duration_s is not None:
        yield f"EEG file: 0 to {number(series.duration_s, 1)} s", GREY, None
    found = "seen by the gradient artefact" if series.by_artefact else "with a marker"
    filled = "without a marker: placed by the clock model" if series.marked.any() else "placed without markers"
    for which, color, words in (
        (series.marked, BLUE, found),
        (series.filled, ORANGE, filled),
        (~series.marked & (series.too_early | series.too_late), INK, "without EEG"),
    ):
        if which.any():
            yield f"{count(int(which.sum()), 'volume')} {words}", color, which
    if len(series.others_s):
        yield f"{count(len(series.others_s), 'other marker')} of the same code", PINK, None


def _draw_lanes(axes: "Axes", lanes, series: _Series, *, least_s: float) -> None:
    low, high = axes.get_xlim()
    # Where a volume would be a few pixels wide, neighbours are drawn as one band.
    few = series.tr_s > 0.012 * (high - low)
    for lane, (label, color, which) in enumerate(lanes):
        look: dict[str, Any] = {"facecolor": color, "linewidth": 0}
        if color == INK:
            look = {"facecolor": "white", "edgecolor": INK, "hatch": "//////", "linewidth": 0.8}
        if which is not None:
            spans = list(_spans(which, series, apart=few, least_s=least_s))
            axes.broken_barh(spans, (-lane - 0.18, 0.34), **look)
        elif color == GREY:
            axes.broken_barh([(0.0, series.duration_s or 0.0)], (-lane - 0.18, 0.34), **look)
        else:
            axes.vlines(series.others_s, -lane - 0.2, -lane + 0.18, color=color, linewidth=1.8)
        axes.text(low, -lane + 0.25, label, fontsize=10, va="bottom", ha="left")
    axes.set_ylim(0.35 - len(lanes), 0.75)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)


def _spans(which: np.ndarray, series: _Series, *, apart: bool, least_s: float) -> Iterator[tuple[float, float]]:
    """Give start and width of each volume, or of each stretch of volumes; none so narrow that it can't be seen."""
    if apart:
        for onset in series.onsets_s[which]:
            yield float(onset), max(0.7 * series.tr_s, least_s)
        return
    edges = np.flatnonzero(np.diff(np.r_[False, which, False]))
    for first, end in zip(edges[::2], edges[1::2], strict=True):
        start = float(series.onsets_s[first])
        yield start, max(float(series.onsets_s[end - 1]) + series.tr_s - start, least_s)


def _draw_residuals(axes: "Axes", series: _Series) -> None:
    n = int(series.marked.sum())
    if np.isfinite(series.jitter_ms):
        label = f"± jitter, {number(series.jitter_ms)} ms"
        axes.axhspan(-series.jitter_ms, series.jitter_ms, color=ORANGE, alpha=0.25, linewidth=0, label=label)
    axes.axhline(0, color=ORANGE, label="clock model")
    axes.plot(
        series.onsets_s[series.marked], series.residual_ms[series.marked], ".", color=BLUE, label="marker",
        markersize=5 if n <= 100 else 3, clip_on=False,
    )  # fmt: skip
    # A scale below a millisecond would blow nothing up to a pattern.
    reach = max(1.0, 1.15 * float(np.nanmax(np.abs(series.residual_ms))))
    axes.set_ylim(-reach, reach)
    axes.set_ylabel("late by (ms)")
    axes.set_title("Markers, against the clock model", pad=22)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.1, ncols=3, fontsize=10, columnspacing=1.2,
                handletextpad=0.5, handlelength=1.4, borderpad=0)  # fmt: skip


def _details(series: _Series) -> Iterator[str]:
    """Say what a reader of the picture would see besides the labels."""
    yield f"the first volume starts at {number(series.onsets_s[0], 3)} s, the last ends at {number(series.end_s, 1)} s"
    if series.filled.any() and series.marked.any():
        yield f"those without a marker, counted from 0: {ranges(np.flatnonzero(series.filled).tolist())}"
    if (series.too_early | series.too_late).any():
        yield f"without EEG: {series.too_early.sum()} at the start and {series.too_late.sum()} at the end of the series"
    if len(series.others_s):
        before, after = int(np.sum(series.others_s < series.onsets_s[0])), int(np.sum(series.others_s >= series.end_s))
        between = len(series.others_s) - before - after
        yield f"other markers: {before} before the first volume, {between} during the series, {after} after it"


def _how_to_read(series: _Series, *, compared: bool) -> str:
    if series.by_artefact:
        return (
            "There are no volume markers: the volumes were seen by the artefact that the scanner leaves in raw EEG. Their number "
            "and the start of the first one have to fit the BOLD file."
        )
    if not compared:
        return (
            "No volume has a marker, so there is nothing that the placement could be compared with. It is as good as what it "
            "rests on."
        )
    return (
        "Each dot is one volume marker. A step or a bend would mean that volumes and EEG do not belong together throughout. "
        "Onsets are those of the clock model, a line through the markers, so a single late marker moves no volume."
    )


def _drift(series: _Series) -> str:
    if not np.isfinite(series.drift_ppm):
        return "The drift between the clocks is not known."
    if abs(series.drift_ppm) < 0.05:
        return "The EEG\N{RIGHT SINGLE QUOTATION MARK}s clock agrees with the repetition time of the BOLD file."
    by_the_last_ms = 1e-3 * abs(series.drift_ppm) * series.tr_s * (len(series.onsets_s) - 1)
    longer = "longer" if series.drift_ppm > 0 else "shorter"
    return (
        f"By the EEG\N{RIGHT SINGLE QUOTATION MARK}s clock the repetition time is {number(abs(series.drift_ppm), 1)} parts per "
        f"million {longer} than the BOLD file says: {number(by_the_last_ms, 1)} ms by the last volume, which is corrected."
    )

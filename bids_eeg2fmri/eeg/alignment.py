"""The onset of every stored volume on the EEG's clock."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bids_eeg2fmri.errors import AlignmentError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Marker:
    """All occurrences of one code.

    Attributes
    ----------
    source : str
        Where it stands: the name of a file.
    code : str
    onsets_s : array of shape (occurrences,)
        Ascending, in s from the start of the EEG file.
    """

    source: str
    code: str
    onsets_s: np.ndarray


@dataclass(frozen=True)
class Alignment:
    """Where the volumes are, and why we believe it.

    Attributes
    ----------
    onsets_s : array of shape (volumes,)
        Onsets by the clock model: a line through the markers.
    markers_s : array of shape (volumes,)
        The markers as recorded.
    tr_s : float
        Repetition time by the EEG's clock.
    drift_ppm : float
        How much longer that is than the repetition time of the BOLD file.
    jitter_ms : float
        Standard deviation of the markers around the line.
    evidence : str
        All of it in words.
    """

    onsets_s: np.ndarray
    markers_s: np.ndarray
    tr_s: float
    drift_ppm: float
    jitter_ms: float
    evidence: str


def align(markers: Sequence[Marker], *, tr_s: float, n_volumes: int, n_discarded: int = 0) -> Alignment:
    """Find the marker that the scanner sent with every volume, and fit its clock.

    The code is told by its regularity, not by its name: its median interval is the repetition time and its count fits the
    stored volumes.

    Parameters
    ----------
    markers : sequence of Marker
    tr_s : float
        Repetition time as the BOLD file has it.
    n_volumes : int
        Volumes stored.
    n_discarded : int
        Volumes that were scanned before the stored ones, as the sidecar says.

    Raises
    ------
    AlignmentError
        If no code, or more than one, fits; the message says what each code offers.
    """
    regular = [m for m in markers if len(m.onsets_s) > 2 and abs(np.median(np.diff(m.onsets_s)) / tr_s - 1) < 0.02]
    found = "; ".join(_describe(m) for m in sorted(markers, key=lambda m: -len(m.onsets_s))[:6]) or "no marker at all"
    expected = f"expected {n_volumes} volume markers {tr_s:g} s apart"
    if not regular:
        raise AlignmentError(f"{expected}, found {found}; check RepetitionTime and that the markers were exported")

    # Dummies that the sidecar knows of come first; one or two markers after the last stored volume are usual.
    fitting = [m for m in regular if 0 <= len(m.onsets_s) - n_volumes - n_discarded <= 2]
    if not fitting:
        fitting = [m for m in regular if 0 <= len(m.onsets_s) - n_volumes <= 2]
        n_discarded = 0
    distinct = [m for i, m in enumerate(fitting) if not any(_same(m, other) for other in fitting[:i])]
    if not distinct:
        few = all(len(m.onsets_s) < n_volumes for m in regular)
        remedy = (
            "the EEG started late or ended early, or its file is cut short"
            if few
            else "dummy scans can be told in NumberOfVolumesDiscardedByScanner of the BOLD sidecar"
        )
        raise AlignmentError(f"{expected}, found {found}; {remedy}")
    if len(distinct) > 1:
        names = " and ".join(f"{m.code!r} in {m.source}" for m in distinct)
        raise AlignmentError(f"{expected}, found more than one code that fits: {names}; remove the wrong one")

    marker = distinct[0]
    onsets = marker.onsets_s[n_discarded : n_discarded + n_volumes]
    intercept, tr_eeg = _fit_line(onsets)
    line = intercept + tr_eeg * np.arange(n_volumes)
    off = np.abs(onsets - line) > 0.1 * tr_s
    # One that came late does no harm to the line; a missing or doubled one moves all that follow.
    if off.sum() > 0.02 * n_volumes:
        raise AlignmentError(
            f"{expected}, found {_describe(marker)} but {off.sum()} of them lie off the regular grid; look for a missing or "
            "doubled marker"
        )
    drift_ppm = 1e6 * (tr_eeg / tr_s - 1)
    jitter_ms = 1e3 * float(np.std((onsets - line)[~off]))
    surplus = len(marker.onsets_s) - n_volumes - n_discarded
    if surplus:
        logger.warning("%s: %d more markers than volumes, taken to come after the last volume", marker.source, surplus)
    evidence = (
        f"marker {marker.code!r} in {marker.source}: {len(marker.onsets_s)} found, {n_volumes} volumes stored"
        + (f", {n_discarded} before them discarded" if n_discarded else "")
        + (f", {surplus} after them ignored" if surplus else "")
        + f"; first volume at {line[0]:.3f} s of the EEG, interval {tr_eeg:.6g} s ({drift_ppm:+.1f} ppm), "
        f"jitter {jitter_ms:.2f} ms"
    )
    return Alignment(line, onsets, float(tr_eeg), float(drift_ppm), jitter_ms, evidence)


def _fit_line(onsets: np.ndarray) -> tuple[float, float]:
    """Intercept and slope over the volume number; a few markers that came late do not pull it (Theil-Sen)."""
    from scipy.stats import theilslopes

    # Jointly: the other way, the markers in the middle of the run alone would set the intercept.
    slope, intercept, *_ = theilslopes(onsets, np.arange(len(onsets)), method="joint")
    return float(intercept), float(slope)


def _same(a: Marker, b: Marker) -> bool:
    """The same marker told twice, as by the header and by events.tsv."""
    return len(a.onsets_s) == len(b.onsets_s) and bool(np.all(np.abs(a.onsets_s - b.onsets_s) < 0.005))


def _describe(marker: Marker) -> str:
    times = f" every {np.median(np.diff(marker.onsets_s)):.4g} s" if len(marker.onsets_s) > 1 else ""
    return f"{len(marker.onsets_s)} x {marker.code!r}{times} ({marker.source})"

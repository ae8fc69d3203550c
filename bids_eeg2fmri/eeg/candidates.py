"""Which markers could be those of the volumes: trains of one code whose interval is the repetition time, or that of slices."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bids_eeg2fmri.eeg.trains import SHORTEST, Train, drop_echoes, find_trains, join_trains

# Markers of two codes that differ by less are one pulse.
SAME_S = 0.005
# BrainVision's note that the amplifier's clock follows the scanner's: sent every 2 s, whatever is scanned.
NEVER_VOLUMES = ("SyncStatus",)


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
class Scan:
    """What the BOLD file and its sidecars say of the series.

    Attributes
    ----------
    n_volumes : int
        Volumes stored.
    tr_s : float
        Repetition time.
    n_dummies : int or None
        Volumes scanned before the first that is stored, if somebody says so.
    groups : tuple of int
        Numbers of slices, or of slices at a time, that a trigger for each of them would send per volume.
    events : tuple of arrays
        Onsets of each condition of the BOLD's events.tsv, in s from the first stored volume.
    """

    n_volumes: int
    tr_s: float
    n_dummies: int | None = None
    groups: tuple[int, ...] = ()
    events: tuple[np.ndarray, ...] = ()


@dataclass(frozen=True)
class Candidate:
    """A train as a series of volumes: ``place`` is in volumes from its first marker, whole or parts of them."""

    marker: Marker
    what: str
    onsets_s: np.ndarray
    place: np.ndarray
    n_volumes: int
    share: float
    joined: bool
    whole: bool  # one marker per volume
    strays_s: np.ndarray  # markers of the code that are in no train
    n_spanned: int  # volumes from the first train of the code to its last


def find_candidates(markers: Sequence[Marker], scan: Scan, *, resolution_s: float) -> list[Candidate]:
    """Find the trains of all codes that could be volume markers; if there are none, slice markers."""
    usable = [m for m in markers if len(m.onsets_s) and not m.code.startswith(NEVER_VOLUMES)]
    of_volumes = [c for m in usable for c in _volume_trains(m, scan, resolution_s)]
    return of_volumes or [c for m in usable for c in _slice_trains(m, scan, resolution_s)]


def coincide(a: Candidate, b: Candidate) -> bool:
    """One marker told twice, as by the header and by events.tsv."""
    return len(a.onsets_s) == len(b.onsets_s) and bool(np.abs(a.onsets_s - b.onsets_s).max() < SAME_S)


def is_part(candidate: Candidate, rival: Candidate) -> bool:
    """Whether all its markers are markers of a rival too."""
    right = np.searchsorted(rival.onsets_s, candidate.onsets_s).clip(1, len(rival.onsets_s) - 1)
    left = np.abs(rival.onsets_s[right - 1] - candidate.onsets_s)
    return bool(np.all(np.minimum(left, np.abs(rival.onsets_s[right] - candidate.onsets_s)) < SAME_S))


def covers(rival: Candidate, candidate: Candidate) -> bool:
    """Whether a rival starts before and ends after it."""
    return bool(rival.onsets_s[0] < candidate.onsets_s[0] and rival.onsets_s[-1] > candidate.onsets_s[-1])


def reaches_edges(onsets_s: np.ndarray, scan: Scan, duration_s: float) -> tuple[bool, bool]:
    """Whether no further marker would fit between the start of the file and the first, and the last and its end."""
    return bool(onsets_s[0] < 1.2 * scan.tr_s), bool(duration_s - onsets_s[-1] < 1.2 * scan.tr_s)


def _volume_trains(marker: Marker, scan: Scan, resolution_s: float) -> list[Candidate]:
    if _density(marker, scan) > 1.5:
        return []  # each of thirty slice markers per volume would make a train of its own
    trains = find_trains(marker.onsets_s, scan.tr_s, resolution_s=resolution_s)
    joins = join_trains(trains, period_s=scan.tr_s, resolution_s=resolution_s)
    return [
        _as_volumes(marker, "volume marker", train, 1, trains, marker.onsets_s, joined=i >= len(trains))
        for i, train in enumerate(trains + joins)
    ]


def _slice_trains(marker: Marker, scan: Scan, resolution_s: float) -> list[Candidate]:
    """Volumes among markers that were sent for every slice, group of slices, or twice a volume."""
    if len(marker.onsets_s) < 2 * SHORTEST or _density(marker, scan) <= 1.5:
        return []
    onsets = np.sort(marker.onsets_s)
    intervals = np.diff(onsets)
    short = float(np.percentile(intervals, 25))
    # A pause at the end of each volume shows where the next one starts.
    heads = np.flatnonzero(np.r_[True, intervals > 1.5 * short])
    sizes = np.diff(np.r_[heads, len(onsets)])
    usual = int(np.median(sizes))
    if len(heads) >= SHORTEST and usual in (2, *scan.groups):
        if sizes[0] < usual and onsets[0] < 1.5 * short:
            heads = heads[1:]  # the EEG started in the middle of a volume
        trains = find_trains(onsets[heads], scan.tr_s, resolution_s=resolution_s)
        what = f"first of {usual} markers per volume"
        return [_as_volumes(marker, what, train, 1, trains, onsets[heads]) for train in trains]
    groups = [g for g in scan.groups if g > 1 and abs(float(np.median(intervals)) * g / scan.tr_s - 1) < 0.02]
    if not groups:
        return []
    per_volume = groups[0]
    trains = find_trains(onsets, scan.tr_s / per_volume, resolution_s=resolution_s)
    # In a train that starts with the file, nobody knows which slice is the first.
    trains = [
        t for t in trains if t.onsets_s[0] > 1.2 * scan.tr_s / per_volume or t.n_places == per_volume * scan.n_volumes
    ]
    what = f"{per_volume} markers per volume"
    return [_as_volumes(marker, what, train, per_volume, trains, onsets) for train in trains]


def _as_volumes(
    marker: Marker,
    what: str,
    train: Train,
    per_volume: int,
    trains: Sequence[Train],
    onsets_s: np.ndarray,
    *,
    joined: bool = False,
) -> Candidate:
    """Describe a train as volumes, among the others of its code."""
    in_trains = np.concatenate([t.onsets_s for t in trains])
    interval_s = (train.onsets_s[-1] - train.onsets_s[0]) / (train.n_places - 1)
    share = len(train.index) / train.n_places
    return Candidate(
        marker,
        what,
        train.onsets_s,
        train.index / per_volume,
        train.n_places // per_volume,
        share,
        joined,
        whole=what == "volume marker",
        strays_s=np.setdiff1d(onsets_s, in_trains),
        n_spanned=round((in_trains.max() - in_trains.min()) / interval_s / per_volume) + 1,
    )


def _density(marker: Marker, scan: Scan) -> float:
    """Markers per repetition time, by their usual interval."""
    onsets = drop_echoes(np.sort(marker.onsets_s), 0.1 * scan.tr_s / max((1, *scan.groups)))
    return scan.tr_s / float(np.median(np.diff(onsets))) if len(onsets) > 1 else 0.0

"""Which volumes are learned from and which are judged."""

from dataclasses import dataclass

import numpy as np

from bids_eeg2fmri.errors import InputDataError

FEWEST_TRAINING_VOLUMES = 20


@dataclass(frozen=True)
class Split:
    """Positions of samples.

    Attributes
    ----------
    train, test : arrays of int
    inner : list of pairs of arrays of int
        Parts of ``train``: to fit, and to judge by what is chosen (when to stop, how much to believe).
    """

    train: np.ndarray
    test: np.ndarray
    inner: list[tuple[np.ndarray, np.ndarray]]


def block_of_volume(n_volumes: int, n_folds: int) -> np.ndarray:
    """Number the contiguous blocks of a run, (n_volumes,)."""
    return np.arange(n_volumes) * n_folds // n_volumes


def split_in_blocks(
    recording: np.ndarray, volume: np.ndarray, usable: np.ndarray, *, n_folds: int, gap: int
) -> list[Split]:
    """Hold out one contiguous block of each run after the other.

    Neighbouring windows share EEG and a hemodynamic response, so a shuffled split would test on what was learned. The
    parts are kept ``gap`` volumes apart for the same reason, the inner ones as well.

    Parameters
    ----------
    recording, volume : arrays of shape (samples,)
        Run and position within it.
    usable : array of bool, shape (samples,)
        Samples with all their EEG; others are neither trained on nor judged.
    n_folds : int
    gap : int
        Volumes between a training volume and the nearest one held out.

    Raises
    ------
    InputDataError
        If too few volumes are left to learn from.

    Examples
    --------
    >>> [split] = split_in_blocks(np.zeros(90, int), np.arange(90), np.ones(90, bool), n_folds=3, gap=5)[1:2]
    >>> split.test.min(), split.test.max(), 24 in split.train, 25 in split.train
    (np.int64(30), np.int64(59), True, False)
    """
    block = _blocks(recording, volume, n_folds)
    splits = []
    for fold in range(n_folds):
        held_out = block == fold
        train = np.flatnonzero(usable & ~_near(recording, volume, held_out, gap))
        inner = _inner(recording, volume, usable, train, [block == b for b in range(n_folds) if b != fold], gap)
        if not inner:
            raise InputDataError(
                f"expected at least {FEWEST_TRAINING_VOLUMES} volumes to learn from when two blocks of 1/{n_folds} and the "
                f"{gap} volumes around them are held out, found fewer among {usable.sum()} usable ones; longer runs or more "
                "of them are needed to train"
            )
        splits.append(Split(train, np.flatnonzero(usable & held_out), inner))
    return splits


def split_inner(recording: np.ndarray, volume: np.ndarray, usable: np.ndarray, *, n_folds: int, gap: int) -> Split:
    """Train on everything; each block of the runs judges a fit of the others."""
    train = np.flatnonzero(usable)
    block = _blocks(recording, volume, n_folds)
    inner = _inner(recording, volume, usable, train, [block == fold for fold in range(n_folds)], gap)
    return Split(train, np.array([], dtype=int), inner)


def _blocks(recording: np.ndarray, volume: np.ndarray, n_folds: int) -> np.ndarray:
    """Number the block of each sample within its run."""
    block = np.full(len(volume), -1)
    for run in np.unique(recording):
        rows = recording == run
        block[rows] = block_of_volume(rows.sum(), n_folds)[volume[rows]]
    return block


def _inner(recording, volume, usable, train, blocks, gap) -> list[tuple[np.ndarray, np.ndarray]]:
    """Hold out each block once more within the training samples, where enough is left to learn from."""
    inner = []
    for judged in blocks:
        judge = np.intersect1d(np.flatnonzero(usable & judged), train)
        learn = np.intersect1d(np.flatnonzero(usable & ~_near(recording, volume, judged, gap)), train)
        if len(judge) > 2 and len(learn) >= FEWEST_TRAINING_VOLUMES:
            inner.append((learn, judge))
    return inner


def split_by_participant(participant: np.ndarray, held_out: int, *, usable: np.ndarray) -> Split:
    """Hold out a participant; up to two others judge when to stop and what to believe.

    Raises
    ------
    InputDataError
        If fewer than three participants are there.
    """
    others = [int(p) for p in np.unique(participant[usable]) if p != held_out]
    if len(others) < 2:
        raise InputDataError(f"expected at least 3 participants to transfer between, found {len(others) + 1}")
    train = np.flatnonzero(usable & (participant != held_out))
    return Split(train, np.flatnonzero(usable & (participant == held_out)), inner_participants(participant, train))


def inner_participants(participant: np.ndarray, train: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Let up to two training participants judge a fit of the others."""
    others = np.unique(participant[train])
    judges = others[:: max(1, len(others) // 2)][:2]
    return [(train[participant[train] != judge], train[participant[train] == judge]) for judge in judges]


def _near(recording: np.ndarray, volume: np.ndarray, held_out: np.ndarray, gap: int) -> np.ndarray:
    """Samples that are held out or at most ``gap`` volumes away from one that is."""
    near = held_out.copy()
    for run in np.unique(recording[held_out]):
        rows = np.flatnonzero(recording == run)
        inside = volume[rows][held_out[rows]]
        distance = np.abs(volume[rows][:, None] - inside[None]).min(1)
        near[rows] |= distance <= gap
    return near

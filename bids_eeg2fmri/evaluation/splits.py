"""Which volumes are learned from and which are judged: a split that leaks can't be made."""

from collections.abc import Sequence
from dataclasses import InitVar, dataclass, field
from typing import Literal

import numpy as np

from bids_eeg2fmri.errors import InputDataError

By = Literal["blocks", "run", "session", "participant"]

FEWEST_TRAINING_VOLUMES = 20
# Each unit is left out by itself as long as there are so few; more are dealt into groups.
MOST_LEFT_OUT_SINGLY = 20
N_GROUPS = 10
# Two inner fits of most participants tell when to stop as well as all would.
MOST_JUDGING_PARTICIPANTS = 2
# What judges within the training samples, best first: as much apart as what is held out, where there is enough of it.
INNER: dict[By, tuple[By, ...]] = {
    "blocks": ("blocks",),
    "run": ("run", "blocks"),
    "session": ("session", "run", "blocks"),
    "participant": ("participant",),
}
# Onsets on a measured clock are not exact: what is a gap away by the millisecond is too near.
ROUNDING_S = 0.001


class LeakageError(AssertionError):
    """A split would have tested on what was learned from: a mistake of the software, not of the data."""


@dataclass(frozen=True, eq=False)
class Samples:
    """What decides whether one sample tells of another.

    Attributes
    ----------
    recording : array of int, shape (samples,)
        Run of each sample. The samples of a run stand together, in the order of time.
    onset_s : array of shape (samples,)
        Time of the volume.
    clock : array of int, shape (samples,)
        What that time counts on: the EEG recording. Runs that were scanned during the same EEG recording share its clock,
        and the end of one may be as near to the start of the next as neighbours in a run are.
    usable : array of bool, shape (samples,)
        Samples with all their EEG; others are neither trained on nor judged.
    gap_s : float
        Samples of one clock that are no further apart tell of each other: they share EEG and a hemodynamic response.
    session, participant : array of int, shape (samples,), or None
        None: all are of one.
    """

    recording: np.ndarray
    onset_s: np.ndarray
    clock: np.ndarray
    usable: np.ndarray
    gap_s: float
    session: np.ndarray | None = None
    participant: np.ndarray | None = None

    def __post_init__(self):
        same_run = np.diff(self.recording) == 0
        if (np.diff(self.recording) < 0).any() or (np.diff(self.onset_s)[same_run] <= 0).any():
            raise ValueError("samples: expected run after run, each in the order of time; sort them")

    def __len__(self) -> int:
        return len(self.recording)

    def units(self, by: By) -> np.ndarray:
        """Number the run, session or participant of each sample, (samples,)."""
        units = {"run": self.recording, "session": self.session, "participant": self.participant}[by]
        return np.zeros(len(self), dtype=int) if units is None else units

    def near(self, held_out: np.ndarray) -> np.ndarray:
        """Tell which samples are held out or within the gap of one that is; both are masks, (samples,)."""
        near = held_out.copy()
        reach = self.gap_s + ROUNDING_S
        for clock in np.unique(self.clock[held_out]):
            rows = np.flatnonzero(self.clock == clock)
            times = self.onset_s[rows]
            there = np.sort(times[held_out[rows]])
            near[rows] |= np.searchsorted(there, times + reach, "right") > np.searchsorted(there, times - reach, "left")
        return near


@dataclass(frozen=True, eq=False)
class Split:
    """Positions of samples, ascending; they can't be changed.

    Attributes
    ----------
    samples : Samples
        What the split is checked against; not kept.
    train, test : arrays of int
    inner : sequence of pairs of arrays of int
        Parts of ``train``: to fit, and to judge by what is chosen (when to stop, how much to believe).
    by, inner_by : str
        What is held out, in the split and within its training samples: no run, session or participant is on both sides then.

    Raises
    ------
    LeakageError
        If a sample is on both sides, is not usable, is within the gap of one on the other side, or its run, session or
        participant is on both sides; or if an inner part is not one of the training samples.
    """

    samples: InitVar[Samples]
    train: np.ndarray
    test: np.ndarray
    inner: Sequence[tuple[np.ndarray, np.ndarray]]
    by: By = field(kw_only=True)
    inner_by: By = field(kw_only=True)

    def __post_init__(self, samples: Samples):
        inner = tuple((_sealed(learn), _sealed(judge)) for learn, judge in self.inner)
        for name, value in (("train", _sealed(self.train)), ("test", _sealed(self.test)), ("inner", inner)):
            object.__setattr__(self, name, value)
        _refuse_leakage(samples, self.train, self.test, self.by, "split")
        for number, (learn, judge) in enumerate(inner):
            where = f"inner split {number}"
            _refuse_leakage(samples, learn, judge, self.inner_by, where)
            outside = np.setdiff1d(np.concatenate([learn, judge]), self.train)
            if len(outside):
                raise LeakageError(f"{where}: expected training samples only, found sample {outside[0]}")


def hold_out(samples: Samples, by: By, *, n_folds: int) -> list[Split]:
    """Hold out one part of the samples after the other, so that each usable one is tested once.

    Neighbouring windows share EEG and a hemodynamic response, so a shuffled split would test on what was learned. Within
    the training samples a part of the same kind judges, or a block in time where there are too few of them.

    Parameters
    ----------
    by : str
        "blocks": contiguous parts of each run. "run", "session", "participant": each by itself up to 20 of them, in ten
        groups if there are more.
    n_folds : int
        Blocks of each run; also the most inner splits.

    Raises
    ------
    InputDataError
        If there are fewer than two runs or sessions or three participants, or too few volumes are left to learn from.

    Examples
    --------
    A run of 90 volumes, 2 s each, in three blocks; volumes up to 10 s before the second one are not learned from.

    >>> run = np.zeros(90, int)
    >>> samples = Samples(run, 2.0 * np.arange(90), clock=run, usable=np.ones(90, bool), gap_s=10.0)
    >>> split = hold_out(samples, "blocks", n_folds=3)[1]
    >>> split.test.min(), split.test.max(), 24 in split.train, 25 in split.train
    (np.int64(30), np.int64(59), True, False)
    """
    _refuse_too_few(samples, by)
    folds = folds_of(samples, by, n_folds=n_folds)
    splits = []
    for fold in range(folds.max() + 1):
        held_out = folds == fold
        train = np.flatnonzero(samples.usable & ~samples.near(held_out))
        inner_by, inner = _inner(samples, train, by, n_folds)
        splits.append(Split(samples, train, np.flatnonzero(samples.usable & held_out), inner, by=by, inner_by=inner_by))
    return splits


def pair_once(samples: Samples, by: By, *, n_folds: int) -> list[Split]:
    """Let each part be predicted from half of the others, so that no two parts judge each other.

    Where everything else is learned from, as :func:`hold_out` has it, the first part judges what was learned from the second
    and the second what was learned from the first: their scores go up and down together, and by chance alone the sum of all
    strays further and to other sides than predictions by given models do. Here each pair of parts serves once, and a null
    distribution for given models is that of the sum.

    Returns
    -------
    list of Split
        One per fold of :func:`folds_of`; of two folds, the second one has nothing to learn from and is left out.

    Raises
    ------
    InputDataError
        As :func:`hold_out` has it.

    Examples
    --------
    >>> run = np.zeros(200, int)
    >>> samples = Samples(run, 2.0 * np.arange(200), clock=run, usable=np.ones(200, bool), gap_s=10.0)
    >>> [sorted({int(volume) // 40 for volume in split.train}) for split in pair_once(samples, "blocks", n_folds=5)]
    [[1, 3], [2, 4], [0, 3], [1, 4], [0, 2]]
    """
    _refuse_too_few(samples, by)
    folds = folds_of(samples, by, n_folds=n_folds)
    n = int(folds.max()) + 1
    # Now one after, now one before: what is learned from is then spread over a run.
    steps = [distance if distance % 2 else -distance for distance in range(1, (n + 1) // 2)]
    splits = []
    for fold in range(n):
        opposite = [fold + n // 2] if n % 2 == 0 and fold < n // 2 else []
        learned = np.array([*((fold + step) % n for step in steps), *opposite], dtype=int)
        if n == 2 and not len(learned):
            continue
        held_out = folds == fold
        train = np.flatnonzero(samples.usable & np.isin(folds, learned) & ~samples.near(held_out))
        inner_by, inner = _inner(samples, train, by, n_folds)
        splits.append(Split(samples, train, np.flatnonzero(samples.usable & held_out), inner, by=by, inner_by=inner_by))
    return splits


def learn_from_all(samples: Samples, by: By, *, n_folds: int) -> Split:
    """Train on everything; what would be held out judges a fit of the rest. See :func:`hold_out`."""
    train = np.flatnonzero(samples.usable)
    inner_by, inner = _inner(samples, train, by, n_folds)
    return Split(samples, train, np.array([], dtype=int), inner, by=by, inner_by=inner_by)


def folds_of(samples: Samples, by: By, *, n_folds: int) -> np.ndarray:
    """Number the fold that each sample, usable or not, is held out in, (samples,)."""
    if by == "blocks":
        return np.concatenate([block_of_volume(n, n_folds) for n in np.unique_counts(samples.recording).counts])
    units, unit = np.unique(samples.units(by), return_inverse=True)
    return unit % n_parts(len(units))


def n_parts(n_units: int) -> int:
    """In how many parts so many runs, sessions or participants are held out."""
    return n_units if n_units <= MOST_LEFT_OUT_SINGLY else N_GROUPS


def block_of_volume(n_volumes: int, n_folds: int) -> np.ndarray:
    """Number the contiguous blocks of a run, (n_volumes,)."""
    return np.arange(n_volumes) * n_folds // n_volumes


def _refuse_too_few(samples: Samples, by: By) -> None:
    if by == "blocks":
        return
    found = len(np.unique(samples.units(by)[samples.usable]))
    if by == "participant" and found < 3:
        raise InputDataError(f"expected at least 3 participants to transfer between, found {found}")
    if found < 2:
        raise InputDataError(
            f"expected at least 2 {by}s to hold out one after the other, found {found}; set training.hold_out to "
            '"blocks", which parts of one run are enough for'
        )


def _inner(samples: Samples, train: np.ndarray, by: By, n_folds: int) -> tuple[By, list[tuple[np.ndarray, np.ndarray]]]:
    """Hold out parts once more within the training samples, where enough is left to learn from."""
    training = np.zeros(len(samples), dtype=bool)
    training[train] = True
    for kind in INNER[by]:
        of_kind = folds_of(samples, "blocks", n_folds=n_folds) if kind == "blocks" else samples.units(kind)
        most = MOST_JUDGING_PARTICIPANTS if kind == "participant" else n_folds
        there = np.unique(of_kind[train])
        inner = []
        for part in there[:: max(1, len(there) // most)][:most]:
            judged = of_kind == part
            judge = np.flatnonzero(training & judged)
            learn = np.flatnonzero(training & ~samples.near(judged))
            if len(judge) > 2 and len(learn) >= FEWEST_TRAINING_VOLUMES:
                inner.append((learn, judge))
        if inner:
            return kind, inner
    parts = f"two blocks of 1/{n_folds}" if by == "blocks" else f"a {by} and a part of the others"
    raise InputDataError(
        f"expected at least {FEWEST_TRAINING_VOLUMES} volumes to learn from when {parts} and the {samples.gap_s:g} s around "
        f"them are held out, found fewer among {samples.usable.sum()} usable ones; longer runs or more of them are needed "
        "to train"
    )


def _sealed(positions: np.ndarray) -> np.ndarray:
    sealed = np.array(positions)
    sealed.flags.writeable = False
    return sealed


def _refuse_leakage(samples: Samples, learn: np.ndarray, judge: np.ndarray, by: By, where: str) -> None:
    """Compare the two sides of a split, whoever made it."""
    for side in (learn, judge):
        # A mask or a negative position would silently mean other samples than it seems to.
        if not np.issubdtype(side.dtype, np.integer) or side.ndim != 1:
            raise LeakageError(f"{where}: expected positions in one dimension, found {side.dtype} {side.shape}")
        if len(side) and (side[0] < 0 or side[-1] >= len(samples) or (np.diff(side) <= 0).any()):
            raise LeakageError(f"{where}: expected ascending positions from 0 to {len(samples) - 1}, each once")
        unusable = side[~samples.usable[side]]
        if len(unusable):
            raise LeakageError(f"{where}: expected usable samples only, found sample {unusable[0]}")
    both = np.intersect1d(learn, judge)
    if len(both):
        raise LeakageError(f"{where}: expected each sample on one side, found sample {both[0]} on both")
    held_out = np.zeros(len(samples), dtype=bool)
    held_out[judge] = True
    near = learn[samples.near(held_out)[learn]]
    if len(near):
        raise LeakageError(
            f"{where}: expected more than {samples.gap_s:g} s between what is learned from and what is held out, found "
            f"sample {near[0]} (run {samples.recording[near[0]]}, {samples.onset_s[near[0]]:g} s) nearer"
        )
    if by != "blocks":
        shared = np.intersect1d(samples.units(by)[learn], samples.units(by)[judge])
        if len(shared):
            raise LeakageError(f"{where}: expected each {by} on one side, found {by} {shared[0]} on both")

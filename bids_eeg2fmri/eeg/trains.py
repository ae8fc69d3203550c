"""Regular trains among the markers of one code: what a scanner's trigger leaves, whatever it is called."""

from dataclasses import dataclass

import numpy as np

# A train may lack this many markers in a row; what comes after a longer gap is another train.
MOST_MISSING = 3
SHORTEST = 8
# How far a marker may lie from where the one before puts it, as a share of the period and in s, and at most.
TOLERANCE, TOLERANCE_S, LARGEST_TOLERANCE = 0.02, 0.02, 0.15
# A repetition time may be rounded in the header, and clocks differ by some 100 ppm.
RATE_TOLERANCE = 0.005


@dataclass(frozen=True)
class Train:
    """Markers that lie on one regular grid.

    Attributes
    ----------
    onsets_s : array of shape (markers,)
        In s from the start of the EEG file, ascending.
    index : array of int of shape (markers,)
        Place of each on the grid, from 0; a missing marker leaves a number out.
    """

    onsets_s: np.ndarray
    index: np.ndarray

    @property
    def n_places(self) -> int:
        return int(self.index[-1]) + 1

    def joined(self, later: "Train", *, places: int) -> "Train":
        """Go on with a later train, the first marker of which is so many places after the last of this one."""
        return Train(
            np.concatenate([self.onsets_s, later.onsets_s]),
            np.concatenate([self.index, self.index[-1] + places + later.index]),
        )


def find_trains(onsets_s: np.ndarray, period_s: float, *, resolution_s: float) -> list[Train]:
    """Find the trains of a known period.

    Parameters
    ----------
    onsets_s : array of shape (markers,)
        Of one code, in s.
    period_s : float
        May be off by 0.5 %.
    resolution_s : float
        Sampling interval of the EEG: markers are rounded to it.

    Returns
    -------
    list of Train
        In the order of their first markers; each of 8 markers or more. Markers off the grid are left out.
    """
    tolerance_s = max(min(max(TOLERANCE * period_s, TOLERANCE_S), LARGEST_TOLERANCE * period_s), 1.5 * resolution_s)
    onsets = drop_echoes(np.sort(onsets_s), 0.1 * period_s)
    if not _followed(onsets, period_s, tolerance_s):
        return []
    trains = []
    left = onsets
    while len(left) >= SHORTEST:
        chain, index = _longest_chain(left, period_s, tolerance_s)
        if len(chain) < SHORTEST:
            break
        left, train = np.delete(left, chain), _regular(left[chain], index, resolution_s)
        if len(train.index) >= SHORTEST:
            trains.append(train)
    return sorted(trains, key=lambda train: train.onsets_s[0])


def join_trains(trains: list[Train], *, period_s: float, resolution_s: float) -> list[Train]:
    """Join neighbouring trains that lie on one grid although many markers are missing between them.

    Returns
    -------
    list of Train
        Every join of two or more neighbours; the single ones are not repeated.
    """
    joins = []
    for first in range(len(trains)):
        joined = trains[first]
        for later in trains[first + 1 :]:
            span = joined.index[-1] - joined.index[0]
            period = (joined.onsets_s[-1] - joined.onsets_s[0]) / span
            places = round((later.onsets_s[0] - joined.onsets_s[-1]) / period)
            miss = abs(later.onsets_s[0] - joined.onsets_s[-1] - places * period)
            # The period of a short train is known less well than the gap is long.
            if places < 1 or miss > max(0.005 * period_s, 1.5 * resolution_s) or places > span:
                break
            joined = joined.joined(later, places=places)
            joins.append(joined)
    return joins


def fit_line(x: np.ndarray, y: np.ndarray, *, least: float = 1e-4) -> tuple[float, float, np.ndarray]:
    """Fit by least squares without outliers: those beyond 3.5 robust standard deviations (and ``least``).

    Returns
    -------
    intercept, slope, used
        ``used`` is true where a point is no outlier.
    """
    used = np.ones(len(x), dtype=bool)
    for _ in range(10):
        slope, intercept = np.polyfit(x[used], y[used], 1)
        miss = np.abs(y - (intercept + slope * x))
        now = miss <= 3.5 * 1.4826 * np.median(miss) + least
        if np.array_equal(now, used):
            break
        used = now
    return float(intercept), float(slope), used


def drop_echoes(onsets_s: np.ndarray, shortest_s: float) -> np.ndarray:
    """Keep the first of markers that follow each other faster than any volume: a trigger that was recorded twice."""
    kept: list[float] = []
    for onset in onsets_s.tolist():
        if not kept or onset - kept[-1] > shortest_s:
            kept.append(onset)
    return np.array(kept)


def _followed(onsets: np.ndarray, period_s: float, tolerance_s: float) -> bool:
    """Quickly tell codes that can hold no train: few of their markers have another one period later."""
    if len(onsets) < SHORTEST:
        return False
    expected = onsets[:-1] + period_s
    right = np.searchsorted(onsets, expected).clip(1, len(onsets) - 1)
    nearest = np.minimum(np.abs(onsets[right] - expected), np.abs(onsets[right - 1] - expected))
    return int(np.sum(nearest <= tolerance_s + RATE_TOLERANCE * period_s)) >= SHORTEST // 2


def _regular(onsets: np.ndarray, index: np.ndarray, resolution_s: float) -> Train:
    """Leave out markers that the chain took in although they came late, or by chance from something else."""
    *_, used = fit_line(index.astype(float), onsets, least=max(0.001, 1.5 * resolution_s))
    return Train(onsets[used], index[used] - index[used][0])


def _longest_chain(onsets: np.ndarray, period_s: float, tolerance_s: float) -> tuple[np.ndarray, np.ndarray]:
    """The longest chain in which each marker lies 1 to 4 periods after the one before; among equals the most regular."""
    times = onsets.tolist()
    length, cost = [1] * len(times), [0.0] * len(times)
    before: list[tuple[int, int]] = [(-1, 0)] * len(times)
    reach = (MOST_MISSING + 1.5) * period_s
    start = 0
    for i, time in enumerate(times):
        while time - times[start] > reach:
            start += 1
        for j in range(i - 1, start - 1, -1):
            places = round((time - times[j]) / period_s)
            if not 1 <= places <= MOST_MISSING + 1:
                continue
            miss = abs(time - times[j] - places * period_s)
            if miss > tolerance_s + places * period_s * RATE_TOLERANCE:
                continue
            if (length[j] + 1, -cost[j] - miss) > (length[i], -cost[i]):
                length[i], cost[i], before[i] = length[j] + 1, cost[j] + miss, (j, places)
    at = max(range(len(times)), key=lambda i: (length[i], -cost[i]))
    chain, index = [at], [0]
    while before[at][0] >= 0:
        at, places = before[at]
        chain.append(at)
        index.append(index[-1] - places)
    chain_array, index_array = np.array(chain[::-1]), np.array(index[::-1])
    return chain_array, index_array - index_array[0]

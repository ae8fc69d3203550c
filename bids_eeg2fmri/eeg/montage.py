"""Bring EEG of any montage to the channels of another one, by spherical splines; and tell how well it covers them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bids_eeg2fmri.eeg.bad_channels import FEWEST_AROUND, interpolate
from bids_eeg2fmri.eeg.downsampling import Signals
from bids_eeg2fmri.eeg.electrodes import Position, distance_mm, find_electrodes, is_between_electrodes, place_of

# A channel is covered if an electrode is as near. In simulated EEG (benchmarks/interpolation.py) what is interpolated from so far
# has r = 0.87 or more with what is there, in the median; beyond 40 mm r falls to 0.8, beyond 50 to 0.65.
COVERED_MM = 40.0
# Shares of the channels that are covered: below the first, results are flagged; below the second, there are none.
WELL_COVERED, LEAST_COVERED = 0.9, 0.5
# Of a channel whose name is of no system: not more than this apart, it is the same one.
SAME_MM = 20.0


@dataclass(frozen=True)
class Wanted:
    """Channels that EEG is brought to, in their order.

    Attributes
    ----------
    channels : tuple of str
    positions_m : tuple of (x, y, z) or None
        One for each channel, in m in the head frame; where the names are of the 10-05 system, these are not needed.
    """

    channels: tuple[str, ...]
    positions_m: tuple[Position, ...]

    @classmethod
    def of(cls, channels: Sequence[str], positions_m: Sequence[Position] | None = None) -> "Wanted":
        return cls(tuple(channels), tuple(positions_m or [None] * len(channels)))


@dataclass(frozen=True)
class Fit:
    """What of the channels that are wanted a recording has, and how it covers the rest.

    Attributes
    ----------
    here : dict
        Wanted channel to the recording's, good or bad.
    distances_mm : dict
        Wanted channel that has to be interpolated to the distance of the nearest electrode.
    unplaced : tuple of str
        Channels that are wanted, are not here, and are at no known place.
    n_sources : int
        Electrodes to interpolate from.
    positions_m : tuple of (x, y, z) or None
        Of the wanted channels, on this head.
    """

    here: dict[str, str]
    distances_mm: dict[str, float]
    unplaced: tuple[str, ...]
    n_sources: int
    positions_m: tuple[Position, ...]

    @property
    def far(self) -> list[str]:
        """Channels that no electrode is near to, the farthest first."""
        far = [name for name, mm in self.distances_mm.items() if mm > COVERED_MM]
        return sorted(far, key=lambda name: -self.distances_mm[name])

    @property
    def covered(self) -> float:
        """Share of the wanted channels that an electrode is near to."""
        return 1 - len(self.far) / len(self.positions_m)

    @property
    def is_possible(self) -> bool:
        return not self.distances_mm or (self.n_sources >= FEWEST_AROUND and not self.unplaced)


def fit_montage(
    wanted: Wanted, channels: Sequence[str], positions_m: Sequence[Position], bad: Collection[str] = ()
) -> Fit:
    """Find the channels that are wanted among those of a recording, and tell how its electrodes cover the others.

    Names decide, whatever their case and decoration, the old and the new ones; a name that is of no system only if the positions do
    not contradict.

    Parameters
    ----------
    wanted : Wanted
    channels : sequence of str
        Of the recording.
    positions_m : sequence of (x, y, z) or None
        One for each, in m in the head frame.
    bad : collection of str
        Channels of the recording that are of no use.
    """
    places = dict(zip(channels, positions_m, strict=True))
    asked = dict(zip(wanted.channels, wanted.positions_m, strict=True))
    electrodes = find_electrodes(wanted.channels)
    here = _match(asked, places, electrodes)
    sources = [xyz for name, xyz in places.items() if xyz is not None and name not in bad]
    targets: dict[str, Position] = {}
    for name, xyz in asked.items():
        if name in here:
            targets[name] = places[here[name]]
        elif name in electrodes:
            targets[name] = place_of(electrodes[name]).round(5).tolist()
        else:
            targets[name] = None if is_between_electrodes(name, electrodes) else xyz
    missing = [name for name in asked if name not in here or here[name] in bad]
    distances_mm = {
        name: min((distance_mm(xyz, source) for source in sources), default=np.inf) if xyz is not None else np.inf
        for name, xyz in targets.items()
        if name in missing
    }
    unplaced = tuple(name for name in missing if targets[name] is None)
    return Fit(here, distances_mm, unplaced, len(sources), tuple(targets.values()))


def bring_to(
    signals: Signals, fit: Fit, wanted: Wanted, positions_m: Sequence[Position], bad: Collection[str]
) -> Signals:
    """Give the channels that are wanted: those that are here under the names that are wanted, the others interpolated.

    Parameters
    ----------
    signals : Signals
        All EEG channels that share a reference; whichever it is, the result differs by what all channels share alone.
    fit : Fit
        Has to be possible.
    positions_m : sequence of (x, y, z) or None
        Of the channels of the signals.
    bad : collection of str
        Channels that nothing is interpolated from.
    """
    missing = [row for row, name in enumerate(wanted.channels) if name in fit.distances_mm]
    data = np.empty((len(wanted.channels), signals.data.shape[1]), dtype=signals.data.dtype)
    for row, name in enumerate(wanted.channels):
        if row not in missing:
            data[row] = signals.data[signals.channels.index(fit.here[name])]
    if missing:
        sources = [
            row
            for row, (name, xyz) in enumerate(zip(signals.channels, positions_m, strict=True))
            if xyz is not None and name not in bad
        ]
        # By number: what is wanted may have the name of another electrode here.
        names = tuple(map(str, range(len(sources) + len(missing))))
        blank = np.zeros((len(missing), signals.data.shape[1]), dtype=signals.data.dtype)
        both = replace(signals, data=np.vstack([signals.data[sources], blank]), channels=names)
        places = [positions_m[row] for row in sources] + [fit.positions_m[row] for row in missing]
        made = interpolate(both, names[len(sources) :], places)
        assert made is not None
        data[missing] = made.data[len(sources) :]
    return replace(signals, data=data, channels=wanted.channels)


def _match(
    asked: Mapping[str, Position], places: Mapping[str, Position], electrodes: Mapping[str, str]
) -> dict[str, str]:
    """Give wanted channel to the recording's: by name, then whatever the case, then by electrode."""
    here = find_electrodes(list(places))
    by_electrode = {electrode: channel for channel, electrode in reversed(here.items())}
    by_case = {channel.casefold(): channel for channel in reversed(list(places))}
    found = {}
    for name, xyz in asked.items():
        channel = name if name in places else by_case.get(name.casefold())
        if name in electrodes and (channel is None or here.get(channel) != electrodes[name]):
            # Unless the recording counts its channels, and C3 is its third of the letter C.
            channel = by_electrode.get(electrodes[name])
        elif channel is not None:
            there = places[channel]
            if xyz is not None and there is not None and distance_mm(xyz, there) > SAME_MM:
                channel = None
        if channel is not None:
            found[name] = channel
    return found

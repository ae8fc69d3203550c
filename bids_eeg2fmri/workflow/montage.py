"""The channels that a recording is used by: its own, or those that a model or the settings want."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bids_eeg2fmri.bids.recordings import Recording, shorten
from bids_eeg2fmri.eeg.bad_channels import FEWEST_AROUND, interpolate
from bids_eeg2fmri.eeg.downsampling import Signals
from bids_eeg2fmri.eeg.electrodes import Places, Position
from bids_eeg2fmri.eeg.montage import COVERED_MM, LEAST_COVERED, WELL_COVERED, Fit, Wanted, bring_to, fit_montage
from bids_eeg2fmri.errors import InputDataError, ModelError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class BadChannels:
    """EEG channels that tell nothing of the brain: name to reason; and whether they were interpolated or left out."""

    reasons: dict[str, str]
    interpolated: bool


@dataclass(frozen=True)
class Montage:
    """Where the electrodes of a recording are, and how they cover the channels that are wanted.

    Attributes
    ----------
    n_measured : int
        Channels of the recording whose position was measured.
    by_name, unplaced : tuple of str
        Those that are where their names are, and those that are at no known place.
    remark : str
        Why measured positions were not believed; empty where they were.
    wanted_by : str
        "the model", "the settings", or empty where the recording's own channels are used.
    n_channels : int
        That are used.
    distances_mm : dict
        Interpolated channel to the distance of the nearest electrode.
    far : tuple of str
        Those of them that no electrode is near to.
    covered : float
        Share of the channels that an electrode is near to.
    """

    n_measured: int
    by_name: tuple[str, ...]
    unplaced: tuple[str, ...]
    remark: str
    wanted_by: str
    n_channels: int
    distances_mm: dict[str, float] = field(default_factory=dict)
    far: tuple[str, ...] = ()
    covered: float = 1.0

    @property
    def warning(self) -> str:
        """What is to be said where too little of the head is covered; empty where enough is."""
        if self.covered >= WELL_COVERED:
            return ""
        return (
            f"electrodes cover {100 * self.covered:.0f} % of the {self.n_channels} channels that {self.wanted_by} asked for; "
            f"{shorten(self.far, 6)} are more than {COVERED_MM:g} mm from any: take what is synthesized from them with care"
        )


@dataclass(frozen=True)
class Settled:
    """EEG by the channels that are used, their positions, and what was made up."""

    signals: Signals
    positions_m: list[Position]
    bad: BadChannels
    montage: Montage


def settle_channels(
    recording: Recording,
    signals: Signals,
    places: Places,
    bad: Mapping[str, str],
    wanted: Wanted | None,
    *,
    by_model: bool,
) -> Settled:
    """Interpolate what is bad or missing; leave out what is bad and can't be.

    Parameters
    ----------
    signals : Signals
        All EEG channels of the recording that may be of use, cleaned.
    places : Places
        Of these channels.
    bad : mapping
        Channel to the reason why it is of no use.
    wanted : Wanted or None
        None keeps the recording's own channels.
    by_model : bool
        Whether a model wants them, or the settings do.

    Raises
    ------
    ModelError, InputDataError
        See :func:`refuse_poor_fit`.
    """
    if places.remark:
        logger.warning(
            "%s: measured positions of electrodes not used: %s; those of the names are", recording.name, places.remark
        )
    told = tell_bad(bad)
    if wanted is None:
        kept, positions, interpolated = _replace_bad(signals, places.positions_m, bad)
        if bad:
            logger.warning(
                "%s: bad channels %s: %s", recording.name, "interpolated" if interpolated else "left out", told
            )
        montage = _describe(places, signals.channels, "", len(kept.channels))
        return Settled(kept, positions, BadChannels(dict(bad), interpolated), montage)
    fit = fit_montage(wanted, signals.channels, places.positions_m, bad)
    refuse_poor_fit(recording, fit, by_model=by_model)
    if bad:
        logger.warning("%s: bad channels, not used to interpolate: %s", recording.name, told)
    montage = _describe(
        places, signals.channels, "the model" if by_model else "the settings", len(wanted.channels), fit
    )
    if fit.distances_mm:
        logger.info(
            "%s: %d of %d channels that %s asked for interpolated, the nearest electrode up to %.0f mm away",
            recording.name, len(fit.distances_mm), montage.n_channels, montage.wanted_by, max(fit.distances_mm.values()),
        )  # fmt: skip
    if montage.warning:
        logger.warning("%s: %s", recording.name, montage.warning)
    brought = bring_to(signals, fit, wanted, places.positions_m, bad)
    of_wanted = {fit.here.get(name): name for name in fit.distances_mm}
    reasons = {of_wanted[name]: reason for name, reason in bad.items() if name in of_wanted}
    return Settled(brought, list(fit.positions_m), BadChannels(reasons, bool(reasons)), montage)


def refuse_poor_fit(recording: Recording, fit: Fit, *, by_model: bool) -> None:
    """Refuse what would be made up rather than measured.

    Raises
    ------
    ModelError
        If a model wants channels that can't be interpolated, or half of them are far from any electrode.
    InputDataError
        If the settings do.
    """
    if not fit.distances_mm:
        return
    kind = ModelError if by_model else InputDataError
    who = "the model" if by_model else "montage.channels of the settings"
    remedy = "use a model of this montage" if by_model else "name others, or leave the recording out"
    n, missing = len(fit.positions_m), shorten(list(fit.distances_mm), 12)
    asks = (
        f"{recording.eeg}: {who} expects {n} channels, {len(fit.distances_mm)} of them missing or bad here: {missing}"
    )
    if fit.unplaced:
        raise kind(f"{asks}; nothing tells where {shorten(fit.unplaced, 6)} would be; {remedy}")
    if not fit.is_possible:
        raise kind(
            f"{asks}; to interpolate them, positions of at least {FEWEST_AROUND} good channels are needed, found {fit.n_sources}; "
            f"add electrodes.tsv, or {remedy}"
        )
    if fit.covered < LEAST_COVERED:
        raise kind(
            f"{asks}; expected an electrode within {COVERED_MM:g} mm of at least half of the {n}, found one for "
            f"{n - len(fit.far)}; {remedy}"
        )


def describe_montage(montage: Montage) -> dict[str, Any]:
    """Tell in the words of a sidecar what was interpolated to the channels that were wanted, and how well."""
    told = {
        "Interpolated": list(montage.distances_mm),
        "DistanceToNearestElectrode": list(montage.distances_mm.values()),
        "DistanceUnits": "mm",
        "Covered": montage.covered,
    }
    return told | ({"Warning": montage.warning} if montage.warning else {})


def warn_of_covering(recordings: Sequence[tuple[Recording, Montage | None]]) -> list[str]:
    """List the sentences that a verdict needs where too little of the head is covered."""
    return [
        f"{recording.name}: {montage.warning}."
        for recording, montage in recordings
        if montage is not None and montage.warning
    ]


def tell_bad(reasons: Mapping[str, str]) -> str:
    """Say which channels are bad and why, of the first six."""
    told = "; ".join(f"{name} {reason}" for name, reason in list(reasons.items())[:6])
    return told + (f"; and {len(reasons) - 6} more" if len(reasons) > 6 else "")


def _replace_bad(
    signals: Signals, positions_m: Sequence[Position], bad: Mapping[str, str]
) -> tuple[Signals, list[Position], bool]:
    """Interpolate bad channels, or leave them out where positions don't allow it."""
    replaced = interpolate(signals, list(bad), positions_m) if bad else signals
    if replaced is not None:
        return replaced, list(positions_m), bool(bad)
    good = [name for name in signals.channels if name not in bad]
    places = dict(zip(signals.channels, positions_m, strict=True))
    return signals.of(good), [places[name] for name in good], False


def _describe(
    places: Places, channels: Sequence[str], wanted_by: str, n_channels: int, fit: Fit | None = None
) -> Montage:
    unplaced = tuple(name for name, xyz in zip(channels, places.positions_m, strict=True) if xyz is None)
    n_measured = len(channels) - len(places.by_name) - len(unplaced)
    of_recording = (n_measured, places.by_name, unplaced, places.remark, wanted_by, n_channels)
    if fit is None:
        return Montage(*of_recording)
    distances_mm = {name: round(mm, 1) for name, mm in fit.distances_mm.items()}
    return Montage(*of_recording, distances_mm, tuple(fit.far), round(fit.covered, 4))

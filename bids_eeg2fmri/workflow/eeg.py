"""The EEG of a recording on its way to a spectrum: cleaned of the scanner, brought to the channels that are wanted."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from bids_eeg2fmri.bids.reading import Eeg, channel_positions, read_eeg
from bids_eeg2fmri.bids.recordings import Recording
from bids_eeg2fmri.config import Settings
from bids_eeg2fmri.eeg.alignment import Alignment
from bids_eeg2fmri.eeg.bad_channels import find_bad_channels, find_useless_channels
from bids_eeg2fmri.eeg.cleaning import remove_scanner_artifacts
from bids_eeg2fmri.eeg.downsampling import Signals, downsample
from bids_eeg2fmri.eeg.electrodes import Position, place_channels
from bids_eeg2fmri.eeg.frames import cut_signal
from bids_eeg2fmri.eeg.gradient import Gradient
from bids_eeg2fmri.eeg.montage import Wanted, fit_montage
from bids_eeg2fmri.eeg.pulse import Pulse
from bids_eeg2fmri.eeg.scans import find_scans
from bids_eeg2fmri.eeg.spectrum import Spectrum, compute_spectrum, frame_ends
from bids_eeg2fmri.eeg.volumes import find_marked_volumes, repeats_itself
from bids_eeg2fmri.eeg.wires import Wires
from bids_eeg2fmri.errors import InputDataError
from bids_eeg2fmri.workflow.body import describe_heart
from bids_eeg2fmri.workflow.montage import BadChannels, Montage, refuse_poor_fit, settle_channels, tell_bad
from bids_eeg2fmri.workflow.plan import Planned

logger = logging.getLogger(__name__)

# Of a signal that architectures look at, per Hz of the highest frequency of power.
SIGNAL_SFREQ_PER_HZ = 2.5
# EEG that is read before the first and after the last volume: more than the longest window and frame.
EEG_BEFORE_S, EEG_AFTER_S = 75.0, 15.0


@dataclass(frozen=True)
class Sampling:
    """How EEG is turned into frames: by the settings, or as a bundle has it.

    Attributes
    ----------
    freqs_hz : tuple of float
    frame_s, step_s : float
        Length of a frame, and from one to the next.
    wanted : Wanted or None
        Channels that the EEG is brought to, in this order; None takes those that it has.
    lags_s : tuple of float or None
        Lags that a saved model asks for; None lets the step be changed so that it divides the repetition time.
    tr_s : float
        Of series to be synthesized where there is no BOLD.
    sfreq : float
        Of the signal that is kept beside power, in Hz; 0 keeps none.
    """

    freqs_hz: tuple[float, ...]
    frame_s: float
    step_s: float
    wanted: Wanted | None = None
    lags_s: tuple[float, ...] | None = None
    tr_s: float = 2.0
    sfreq: float = 0.0

    @classmethod
    def by_settings(cls, settings: Settings) -> "Sampling":
        spectrum, channels = settings.spectrum, settings.montage.channels
        freqs = np.arange(spectrum.lowest_hz, spectrum.highest_hz + 1e-9, spectrum.spacing_hz)
        wanted = Wanted.of(channels) if channels else None
        return cls(tuple(freqs.tolist()), spectrum.frame_s, settings.window.step_s, wanted)

    def with_signal(self) -> "Sampling":
        """Keep the signal as well, at a rate that holds the highest frequency of power."""
        return replace(self, sfreq=SIGNAL_SFREQ_PER_HZ * self.freqs_hz[-1])

    @property
    def by_model(self) -> bool:
        """Whether a saved model asks for it."""
        return self.lags_s is not None


@dataclass(frozen=True)
class OfEeg:
    """What the EEG of a recording gives: see :class:`~bids_eeg2fmri.workflow.preparation.Prepared`."""

    spectrum: Spectrum
    step_s: float
    cardiac: np.ndarray | None
    positions_m: list[Position] = field(default_factory=list)
    gradient: Gradient | None = None
    pulse: Pulse | None = None
    bad_channels: BadChannels | None = None
    cleaned: Signals | None = None
    montage: Montage | None = None
    wires: Wires | None = None


def prepare_eeg(
    planned: Planned, sampling: Sampling, cleaning: Settings, *, tr_s: float, n_slices: int | None
) -> OfEeg:
    """Read, clean and transform the EEG of a pair alone; raises what :func:`~bids_eeg2fmri.workflow.preparation.prepare` does."""
    eeg, channels = open_eeg(planned, sampling)
    assert planned.alignment is not None
    tell_alignment(planned.recording, planned.alignment)
    return transform(planned, eeg, channels, sampling, cleaning, planned.alignment.onsets_s, tr_s, n_slices)


def open_eeg(planned: Planned, sampling: Sampling) -> tuple[Eeg, list[str]]:
    """Open the EEG, and name the channels that are used."""
    recording, alignment = planned.recording, planned.alignment
    assert recording.eeg is not None
    if planned.error is not None:
        raise planned.error
    eeg = read_eeg(recording)
    channels = _select_channels(recording, eeg, sampling)
    if sampling.wanted is not None:  # before a long recording is read in vain
        places = place_channels(channels, channel_positions(eeg.raw, channels))
        refuse_poor_fit(
            recording, fit_montage(sampling.wanted, channels, places.positions_m), by_model=sampling.by_model
        )
    sfreq = eeg.raw.info["sfreq"]
    if sfreq < 2.5 * sampling.freqs_hz[-1]:
        raise InputDataError(
            f"{recording.eeg}: expected at least {2.5 * sampling.freqs_hz[-1]:g} Hz for power up to "
            f"{sampling.freqs_hz[-1]:g} Hz, found {sfreq:g} Hz; lower spectrum.highest_hz"
        )
    if alignment is not None and not ((alignment.onsets_s >= 0) & (alignment.onsets_s < eeg.duration_s)).any():
        raise InputDataError(
            f"{recording.eeg}: expected EEG during the volumes, which start at {alignment.onsets_s[0]:.1f} s, found "
            f"{eeg.duration_s:.1f} s of it; check scans.tsv or the pairing"
        )
    return eeg, channels


def transform(
    planned: Planned,
    eeg: Eeg,
    channels: list[str],
    sampling: Sampling,
    cleaning: Settings | None,
    onsets_s: np.ndarray,
    tr_s: float,
    n_slices: int | None,
) -> OfEeg:
    """Clean the EEG of the scanner's artefacts, compute its power over time and, where there is BOLD, what the heart adds to it."""
    recording, alignment = planned.recording, planned.alignment
    cardiac = None
    ecg = eeg.ecg
    loops = eeg.loops if cleaning is not None and cleaning.wires.correct == "auto" else []
    looks_for_bad = cleaning is not None and cleaning.bad_channels.correct == "auto"
    beside = [*([] if ecg is None else [ecg]), *loops]
    places = place_channels(channels, channel_positions(eeg.raw, channels))
    spare: list[str] = []  # nobody asks for them, so that it does not matter if they are bad
    if sampling.wanted is not None:
        here = fit_montage(sampling.wanted, channels, places.positions_m).here.values()
        spare = [name for name in channels if name not in here]
    try:
        signals = downsample(
            eeg.raw,
            [*channels, *beside],
            lowest_sfreq=max(200.0, 2.5 * sampling.freqs_hz[-1]),
            start_s=float(onsets_s[0]) - EEG_BEFORE_S,
            stop_s=float(onsets_s[-1]) + tr_s + EEG_AFTER_S,
            optional=[*(channels if looks_for_bad else spare), *beside],
        )
    except InputDataError as error:
        raise InputDataError(f"{recording.eeg}: {error}") from None
    useless = find_useless_channels(signals.of(channels))
    for name in useless:
        signals.data[signals.channels.index(name)] = 0  # or it would be in the way of all others
    gradient = wires = pulse = None
    scanned_s, looks_for_volumes = None, False
    if alignment is not None:
        scanned_s = alignment.onsets_s
    elif cleaning is not None:
        looks_for_volumes = cleaning.gradient.correct == "auto"
        scanned_s = _find_volumes(recording, eeg, signals.of(channels), tr_s) if looks_for_volumes else None
    if scanned_s is not None and cleaning is not None:
        volume_s = alignment.tr_s if alignment is not None else float(np.diff(scanned_s).mean())
        signals, gradient, wires, pulse = _clean(
            recording, signals, scanned_s, volume_s, ecg, loops, cleaning, n_slices
        )
    if looks_for_volumes and repeats_itself(signals.of(channels)):
        logger.warning(
            "%s: the EEG repeats itself as an artefact of gradients does, which could not be removed", recording.name
        )
    if recording.bold is not None:
        cardiac = describe_heart(recording, signals, ecg, onsets_s, tr_s)
    signals = signals.of(channels)
    bad = useless
    if looks_for_bad:
        marked = {name: "is marked as bad in channels.tsv" for name in channels if name in eeg.raw.info["bads"]}
        bad = _find_bad(recording, signals, useless | marked)
    settled = settle_channels(recording, signals, places, bad, sampling.wanted, by_model=sampling.by_model)
    signals = settled.signals
    if sampling.lags_s is None:
        # Frames that end at the onsets themselves, whatever the repetition time and the drift between the clocks.
        tr_eeg = alignment.tr_s if alignment is not None else tr_s
        step_s = tr_eeg / max(1, round(tr_eeg / sampling.step_s))
        ends_s = frame_ends(signals, anchor_s=float(onsets_s[0]), step_s=step_s)
    else:
        # Just those that a model asks for; where the repetition time is its own, most volumes share them.
        step_s = sampling.step_s
        ends_s = np.unique(np.round(onsets_s[:, None] - np.array(sampling.lags_s), 6))
    spectrum = compute_spectrum(signals, ends_s, width_s=sampling.frame_s, freqs_hz=np.array(sampling.freqs_hz))
    if sampling.sfreq:
        signal = cut_signal(signals, spectrum.ends_s, step_s=step_s, sfreq=sampling.sfreq)
        spectrum = replace(spectrum, signal=signal, sfreq=signal.shape[2] / step_s)
    logger.info(
        "%s: %d channels at %g Hz, %d frames of %g s, %d volumes", recording.name, len(signals.channels), eeg.raw.info["sfreq"],
        len(spectrum.ends_s), sampling.frame_s, len(onsets_s),
    )  # fmt: skip
    cleaned = signals if cleaning is not None and cleaning.output.cleaned_eeg else None
    told_bad = settled.bad if looks_for_bad else None
    return OfEeg(
        spectrum, step_s, cardiac, settled.positions_m, gradient, pulse, told_bad, cleaned, settled.montage, wires
    )


def _find_volumes(recording: Recording, eeg: Eeg, signals: Signals, tr_s: float) -> np.ndarray | None:
    """Find volumes that no BOLD goes with by their artefact, and say so; None where nothing tells of any."""
    onsets_s = find_marked_volumes(signals, eeg.markers.values(), resolution_s=1 / eeg.raw.info["sfreq"])
    by = "regular markers"
    if onsets_s is None and repeats_itself(signals):
        scans = find_scans(eeg.raw, list(signals.channels), tr_s=tr_s)
        onsets_s, by = max(scans, key=len, default=None), "the artefact of gradients"
    if onsets_s is not None:
        logger.info(
            "%s: %d volumes without BOLD from %.3f s on, told by %s", recording.name, len(onsets_s), onsets_s[0], by
        )
    return onsets_s


def _clean(
    recording: Recording,
    signals: Signals,
    onsets_s: np.ndarray,
    tr_s: float,
    ecg: str | None,
    loops: Sequence[str],
    settings: Settings,
    n_slices: int | None,
) -> tuple[Signals, Gradient | None, Wires | None, Pulse | None]:
    """Subtract the artefacts of the scanner as the settings have it, and say what was found."""
    signals, gradient, wires, pulse = remove_scanner_artifacts(
        signals,
        onsets_s=onsets_s,
        tr_s=tr_s,
        n_slices=n_slices,
        ecg=ecg,
        loops=loops,
        gradient=settings.gradient.correct == "auto",
        pulse=settings.pulse.correct == "auto",
        n_averaged=settings.gradient.n_averaged,
        gradient_components=settings.gradient.n_components,
        adaptive_noise_cancellation=settings.gradient.adaptive_noise_cancellation,
        pulse_components=settings.pulse.n_components,
    )
    if gradient is not None and gradient.corrected:
        logger.info(
            "%s: gradient artefact subtracted from %d volumes; at their harmonics %.0f dB over the EEG before, %.0f dB after",
            recording.name, gradient.n_volumes, *gradient.volume_db,
        )  # fmt: skip
    if wires is not None:
        _tell_of_wires(recording, wires)
    if pulse is not None and pulse.corrected:
        logger.info(
            "%s: pulse artefact subtracted at %d heartbeats (%s); locked to them %.1f uV before, %.1f uV after; %s",
            recording.name, pulse.n_beats, pulse.source, *pulse.locked_uv, _say_alpha(pulse.alpha),
        )  # fmt: skip
    elif pulse is not None and pulse.reason:
        logger.info("%s: no artefact of the pulse was looked for (%s)", recording.name, pulse.reason)
    return signals, gradient, wires, pulse


def _tell_of_wires(recording: Recording, wires: Wires) -> None:
    for name, reason in wires.left_out.items():
        logger.warning("%s: carbon-wire loop %s left out: it %s", recording.name, name, reason)
    if wires.corrected:
        logger.info(
            "%s: motion that %d carbon-wire loops saw regressed; EEG of %.1f uV before, %.1f uV after; %s",
            recording.name, len(wires.loops), *wires.size_uv, _say_alpha(wires.alpha),
        )  # fmt: skip
    elif not np.isnan(wires.explained):
        logger.info(
            "%s: carbon-wire loops foretell %.1f %% of the EEG; it was left as it is",
            recording.name,
            100 * wires.explained,
        )


def _say_alpha(share: float) -> str:
    return "no alpha rhythm to tell by" if np.isnan(share) else f"{100 * share:.0f} % of the alpha rhythm's power left"


def _find_bad(recording: Recording, signals: Signals, known: dict[str, str]) -> dict[str, str]:
    """Tell the channels that are known to be bad and those that prove to be; with the reason.

    Raises
    ------
    InputDataError
        If most channels are bad.
    """
    reasons = known | find_bad_channels(signals, known)
    if len(reasons) > 0.5 * len(signals.channels):
        raise InputDataError(
            f"{recording.eeg}: expected EEG in most channels, found {len(reasons)} of {len(signals.channels)} bad: "
            f"{tell_bad(reasons)}; look at the recording"
        )
    return reasons


def tell_alignment(recording: Recording, alignment: Alignment) -> None:
    """Log how a recording was aligned."""
    logger.info("%s: %s", recording.name, alignment.evidence)
    for note in alignment.notes:
        logger.warning("%s: %s", recording.name, note)


def _select_channels(recording: Recording, eeg: Eeg, sampling: Sampling) -> list[str]:
    """Those that are not marked as bad; where channels are wanted, those of them that are marked as well."""
    available = eeg.channels
    if not available:
        raise InputDataError(
            f"{recording.eeg}: expected EEG channels, found that all are marked as bad; check status in channels.tsv"
        )
    if sampling.wanted is None:
        return available
    marked = [name for name in eeg.raw.info["bads"] if name in eeg.raw.ch_names]
    here = fit_montage(sampling.wanted, marked, [None] * len(marked)).here.values()
    return [*available, *(name for name in marked if name in here)]

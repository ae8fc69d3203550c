"""Both artefacts of the scanner, one after the other and once more."""

from dataclasses import replace

import numpy as np

from bids_eeg2fmri.eeg.downsampling import Signals
from bids_eeg2fmri.eeg.gradient import Gradient, in_step, remove_gradient_artifact
from bids_eeg2fmri.eeg.pulse import Pulse, find_heartbeats, remove_pulse_artifact
from bids_eeg2fmri.errors import InputDataError


def remove_scanner_artifacts(
    signals: Signals,
    *,
    onsets_s: np.ndarray,
    tr_s: float,
    n_slices: int | None = None,
    ecg: str | None = None,
    gradient: bool = True,
    pulse: bool = True,
    n_averaged: int = 30,
    gradient_components: int = 4,
    pulse_components: int = 4,
) -> tuple[Signals, Gradient | None, Pulse | None]:
    """Subtract the artefacts of gradients and pulse, as far as they are asked for and there are any.

    Templates of volumes hold some of the pulse, which would stay in the EEG. So where both artefacts are found, what was found of
    the pulse is taken away first, and the templates are made once more.

    Parameters
    ----------
    signals : Signals
        EEG channels, and the ECG if there is one.
    onsets_s : array of shape (volumes,)
        On the EEG's clock.
    tr_s : float
        From one to the next, by the EEG's clock.
    n_slices, n_averaged, gradient_components
        See :func:`~bids_eeg2fmri.eeg.gradient.remove_gradient_artifact`.
    ecg : str or None
        Name of the channel.
    pulse_components
        See :func:`~bids_eeg2fmri.eeg.pulse.remove_pulse_artifact`.

    Returns
    -------
    signals : Signals
        As they were where there is nothing to subtract.
    gradient, pulse : Gradient, Pulse, or None
        None for what was not asked for.
    """
    onset_s = float(onsets_s[0])

    def without_gradients(of: Signals) -> tuple[Signals, Gradient]:
        return remove_gradient_artifact(
            of,
            onset_s=onset_s,
            tr_s=tr_s,
            n_volumes=len(onsets_s),
            n_slices=n_slices,
            n_averaged=n_averaged,
            n_components=gradient_components,
        )

    def without_pulse(of: Signals) -> tuple[Signals, Pulse]:
        try:
            beats_s, source = find_heartbeats(of, ecg)
        except InputDataError as error:
            return of, Pulse(reason=str(error))
        keep = () if ecg is None else (ecg,)
        return remove_pulse_artifact(of, beats_s, source=source, keep=keep, n_components=pulse_components)

    of_gradients, of_pulse = None, None
    cleaned = signals
    if gradient:
        cleaned, of_gradients = without_gradients(signals)
    if pulse:
        beating = cleaned
        cleaned, of_pulse = without_pulse(beating)
        if of_gradients is not None and of_gradients.corrected and of_pulse.corrected:
            beats = beating.data - cleaned.data
            recorded, _ = in_step(signals, onset_s=onset_s, tr_s=tr_s)
            still, _ = without_gradients(replace(recorded, data=recorded.data - beats))
            cleaned, of_pulse = without_pulse(replace(still, data=still.data + beats))
    return cleaned, of_gradients, of_pulse

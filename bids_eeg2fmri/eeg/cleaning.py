"""The artefacts of the scanner and of a body that moves in it, one after the other and once more."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bids_eeg2fmri.eeg.downsampling import Signals
from bids_eeg2fmri.eeg.gradient import Gradient, in_step, remove_gradient_artifact
from bids_eeg2fmri.eeg.pulse import Pulse, find_heartbeats, remove_pulse_artifact
from bids_eeg2fmri.eeg.wires import Wires, find_broken_loops, regress_loops
from bids_eeg2fmri.errors import InputDataError


def remove_scanner_artifacts(
    signals: Signals,
    *,
    onsets_s: np.ndarray,
    tr_s: float,
    n_slices: int | None = None,
    ecg: str | None = None,
    loops: Sequence[str] = (),
    gradient: bool = True,
    pulse: bool = True,
    n_averaged: int = 30,
    gradient_components: int = 4,
    adaptive_noise_cancellation: bool = False,
    pulse_components: int = 4,
) -> tuple[Signals, Gradient | None, Wires | None, Pulse | None]:
    """Subtract the artefacts of gradients, motion and pulse, as far as they are asked for and there are any.

    Templates of volumes hold some of the pulse, which would stay in the EEG. So where gradients and a moving body are found, what
    was found of the body is taken away first, and the templates are made once more.

    Parameters
    ----------
    signals : Signals
        EEG channels, and the ECG and loops of carbon wire if there are any.
    onsets_s : array of shape (volumes,)
        On the EEG's clock.
    tr_s : float
        From one to the next, by the EEG's clock.
    n_slices, n_averaged, gradient_components, adaptive_noise_cancellation
        See :func:`~bids_eeg2fmri.eeg.gradient.remove_gradient_artifact`.
    ecg : str or None
        Name of the channel.
    loops : sequence of str
        Names of channels that are loops of carbon wire, see :func:`~bids_eeg2fmri.eeg.wires.regress_loops`.
    pulse_components
        See :func:`~bids_eeg2fmri.eeg.pulse.remove_pulse_artifact`.

    Returns
    -------
    signals : Signals
        Without the loops; as they were where there is nothing to subtract.
    gradient, wires, pulse : Gradient, Wires, Pulse, or None
        None for what was not asked for; ``wires`` also where there are no loops.
    """
    onset_s = float(onsets_s[0])
    keep = () if ecg is None else (ecg,)
    broken = find_broken_loops(signals, loops)

    def without_gradients(of: Signals) -> tuple[Signals, Gradient]:
        return remove_gradient_artifact(
            of,
            onset_s=onset_s,
            tr_s=tr_s,
            n_volumes=len(onsets_s),
            n_slices=n_slices,
            n_averaged=n_averaged,
            n_components=gradient_components,
            adaptive_noise_cancellation=adaptive_noise_cancellation,
        )

    def without_body(of: Signals) -> tuple[Signals, Wires | None, Pulse | None]:
        others = of.of([name for name in of.channels if name not in loops])
        left, of_wires = regress_loops(of, loops, broken=broken, keep=keep) if loops else (others, None)
        if not pulse:
            return left, of_wires, None
        try:
            # By all that the pulse left: loops tell a part of it.
            beats_s, source = find_heartbeats(others, ecg)
        except InputDataError as error:
            return left, of_wires, Pulse(reason=str(error))
        left, of_pulse = remove_pulse_artifact(left, beats_s, source=source, keep=keep, n_components=pulse_components)
        return left, of_wires, of_pulse

    moving, of_gradients = without_gradients(signals) if gradient else (signals, None)
    cleaned, of_wires, of_pulse = without_body(moving)
    moves = any(artefact is not None and artefact.corrected for artefact in (of_wires, of_pulse))
    if of_gradients is not None and of_gradients.corrected and moves:
        body = np.zeros_like(moving.data)
        rows = [moving.channels.index(name) for name in cleaned.channels]
        body[rows] = moving.data[rows] - cleaned.data
        recorded, _ = in_step(signals, onset_s=onset_s, tr_s=tr_s)
        still, _ = without_gradients(replace(recorded, data=recorded.data - body))
        cleaned, of_wires, of_pulse = without_body(replace(still, data=still.data + body))
    return cleaned, of_gradients, of_wires, of_pulse

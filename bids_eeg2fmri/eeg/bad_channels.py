"""Channels that tell nothing of the brain: found by what they hold, and replaced by what those around them say."""

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
from scipy.signal import butter, sosfiltfilt

from bids_eeg2fmri.eeg.downsampling import Signals

# Where EEG is, and drifts of electrodes are not.
BAND_HZ = (1.0, 40.0)
# Robust standard deviations from the typical logarithm of amplitude, and at least this factor: a cap may be very even.
FARTHEST, LEAST_FACTOR = 5.0, 3.0
# Channels with a position that it takes to say what is between them.
FEWEST_AROUND = 8
# Of a head, in the head frame: the same for every cap, whatever sphere its electrodes would fit.
CENTER_M = (0.0, 0.0, 0.04)


def find_useless_channels(signals: Signals) -> dict[str, str]:
    """Tell the channels that hold no numbers or never change; with the reason."""
    reasons = {}
    for name, data in zip(signals.channels, signals.data, strict=True):
        if not np.isfinite(data).all():
            reasons[name] = "holds values that are no numbers"
        elif np.ptp(data) == 0:
            reasons[name] = "never changes"
    return reasons


def find_bad_channels(signals: Signals, known: Collection[str] = ()) -> dict[str, str]:
    """Tell the channels that are far larger than the others; with the reason.

    What is small under one reference is not under another, so smaller ones are not told.

    Parameters
    ----------
    signals : Signals
        Of EEG channels that share a reference; cleaned of artefacts of the scanner.
    known : collection of str
        Channels that are bad for other reasons.

    References
    ----------
    Bigdely-Shamlo, N., Mullen, T., Kothe, C., Su, K.-M., & Robbins, K. A. (2015). The PREP pipeline: standardized preprocessing for
    large-scale EEG analysis. Front. Neuroinform. 9, 16. The deviation criterion.
    """
    rows = [row for row, name in enumerate(signals.channels) if name not in known]
    if len(rows) < FEWEST_AROUND:
        return {}
    sections = butter(2, BAND_HZ, "bandpass", fs=signals.sfreq, output="sos")
    filtered = sosfiltfilt(sections, signals.data[rows], axis=1)
    # How large a channel is must not depend on where the reference of the recording was.
    filtered -= np.median(filtered, axis=0)
    # Jerks are no reason to give a channel up: the middle half of the values says how large it usually is.
    size = np.log(np.subtract(*np.percentile(filtered, [75, 25], axis=1)) + 1e-12)
    away = size - np.median(size)
    limit = max(FARTHEST * 1.4826 * float(np.median(np.abs(away))), float(np.log(LEAST_FACTOR)))
    return {
        signals.channels[row]: f"is {np.exp(distance):.0f} times larger than usual"
        for row, distance in zip(rows, away, strict=True)
        if distance > limit
    }


def interpolate(signals: Signals, bad: Sequence[str], positions_m: Sequence[Sequence[float] | None]) -> Signals | None:
    """Replace bad channels by spherical splines through the others (MNE); None where positions don't allow it.

    Parameters
    ----------
    positions_m : sequence of (x, y, z) or None
        In m in the head frame, one for each channel. Those of 8 good ones have to be known, and those of all bad ones.

    References
    ----------
    Perrin, F., Pernier, J., Bertrand, O., & Echallier, J. F. (1989). Spherical splines for scalp potential and current density
    mapping. Electroencephalogr. Clin. Neurophysiol. 72, 184-187.
    """
    import mne

    placed = {name: np.array(xyz) for name, xyz in zip(signals.channels, positions_m, strict=True) if xyz is not None}
    if not set(bad) <= set(placed) or len(placed) - len(bad) < FEWEST_AROUND:
        return None
    names = [name for name in signals.channels if name in placed]
    info = mne.create_info(names, signals.sfreq, "eeg")
    raw = mne.io.RawArray(signals.of(names).data, info, verbose="error")
    raw.set_montage(mne.channels.make_dig_montage(placed, coord_frame="head"), verbose="error")
    raw.info["bads"] = list(bad)
    raw.interpolate_bads(reset_bads=True, method={"eeg": "spline"}, origin=CENTER_M, verbose="error")
    data = signals.data.copy()
    rows = [signals.channels.index(name) for name in bad]
    data[rows] = raw.get_data(picks=list(bad))
    return replace(signals, data=data)

"""What the participant's body adds to the BOLD: found beside it, or told from the recording itself."""

import logging
from pathlib import Path

import numpy as np

from bids_eeg2fmri.bids.reading import Bold, find_confounds_file, find_physio_file, read_physio
from bids_eeg2fmri.bids.recordings import Recording
from bids_eeg2fmri.bold.motion import estimate_motion
from bids_eeg2fmri.eeg.downsampling import Signals
from bids_eeg2fmri.eeg.heart import find_beats
from bids_eeg2fmri.errors import Eeg2FmriError, InputDataError
from bids_eeg2fmri.evaluation.baselines import cardiac_features, expand_motion
from bids_eeg2fmri.evaluation.confounds import read_confounds

logger = logging.getLogger(__name__)


def describe_motion(
    recording: Recording, bold: Bold, mask: np.ndarray, *, table: Path | None = None
) -> np.ndarray | None:
    """Give the motion of the head, (volumes, regressors): by a table of confounds, or else by the image.

    None, with the reason in the log, where neither tells.

    Parameters
    ----------
    table : Path, optional
        A pipeline's, of the series; otherwise one is looked for beside the BOLD as recorded.
    """
    assert recording.bold is not None
    n_volumes = bold.data.shape[-1]
    path = table if table is not None else find_confounds_file(recording.bold)
    if path is not None:
        try:
            confounds = read_confounds(path).to_numpy(np.float32)
            if len(confounds) == n_volumes:
                return confounds
            raise InputDataError(f"{path}: expected {n_volumes} rows, one per volume, found {len(confounds)}")
        except Eeg2FmriError as error:
            logger.warning("%s; motion is estimated from the image", error)
    try:
        return expand_motion(estimate_motion(bold.data, mask, bold.affine, tr_s=bold.tr_s))
    except InputDataError as error:
        logger.info("%s: motion is unknown (%s)", recording.name, error)
        return None


def describe_heart(
    recording: Recording, signals: Signals, ecg: str | None, onsets_s: np.ndarray, tr_s: float
) -> np.ndarray | None:
    """Give the responses to the heart rate, (volumes, regressors): by a pulse recorded with the BOLD, or the EEG's ECG.

    None, with the reasons in the log, where neither tells.

    Parameters
    ----------
    signals : Signals
        With the channel ``ecg``.
    onsets_s : array of shape (volumes,)
        On the clock of the EEG.
    """
    assert recording.bold is not None
    reasons = []
    path = find_physio_file(recording.bold)
    if path is not None:
        try:
            physio = read_physio(path)
            # The pulse, or what is left of an ECG in its band.
            beats_s = physio.start_s + find_beats(physio.signal, physio.sfreq, kind="pulse")
            return cardiac_features(beats_s, tr_s * np.arange(len(onsets_s)))
        except Eeg2FmriError as error:
            reasons.append(f"{path.name}: {error}")
    if ecg is None:
        reasons.append("the EEG has no ECG channel that is not marked as bad")
    else:
        try:
            beats_s = signals.start_s + find_beats(signals.of([ecg]).data[0], signals.sfreq)
            return cardiac_features(beats_s, onsets_s)
        except InputDataError as error:
            reasons.append(f"{ecg}: {error}")
    logger.info("%s: the heart rate is unknown (%s)", recording.name, "; ".join(reasons))
    return None

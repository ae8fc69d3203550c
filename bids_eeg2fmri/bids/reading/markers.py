"""Markers that an EEG file holds besides its signals: annotations, and the steps of trigger channels."""

import mne
import numpy as np

from bids_eeg2fmri.bids.reading.files import warn_once
from bids_eeg2fmri.bids.reading.formats import quiet

# A trigger channel with more values than this holds a signal.
MOST_VALUES = 512


def read_annotated(raw: mne.io.BaseRaw) -> dict[str, np.ndarray]:
    """Give descriptions of annotations, with ascending onsets in s from the start of the file."""
    annotations = raw.annotations
    codes = np.array([str(description) for description in annotations.description])
    onsets = annotations.onset - (raw.first_time if annotations.orig_time is not None else 0)
    return {str(code): np.sort(onsets[codes == code]) for code in np.unique(codes)}


def read_triggered(raw: mne.io.BaseRaw) -> dict[str, np.ndarray]:
    """Find where trigger channels change to a value other than 0: ``channel/value``, with ascending onsets in s.

    As mne.find_events with ``consecutive=True`` does, but a minute at a time: an hour of BDF is a gigabyte.
    """
    markers: dict[str, np.ndarray] = {}
    for pick in mne.pick_types(raw.info, meg=False, stim=True):
        name = raw.ch_names[pick]
        values, samples = _find_steps(raw, int(pick))
        codes = np.unique(values)
        if len(codes) > MOST_VALUES:
            warn_once(f"{raw.filenames[0]}: expected triggers in {name}, found {len(codes)} values; it holds none")
            continue
        markers |= {f"{name}/{code}": samples[values == code] / raw.info["sfreq"] for code in codes}
    return markers


def _find_steps(raw: mne.io.BaseRaw, pick: int) -> tuple[np.ndarray, np.ndarray]:
    """Give the values that a channel changes to, and the samples where it does."""
    values, samples = [np.array([], int)], [np.array([], int)]
    step = max(1, round(60 * raw.info["sfreq"]))
    before = None
    for start in range(0, raw.n_times, step):
        with quiet():
            block = raw.get_data(picks=[pick], start=start, stop=min(start + step, raw.n_times))[0]
        # Above 16 bits a BioSemi amplifier tells of itself.
        block = block.astype(np.int64) & 0xFFFF
        steps = np.flatnonzero(np.diff(block, prepend=block[0] if before is None else before))
        steps = steps[block[steps] != 0]
        values.append(block[steps])
        samples.append(steps + start)
        before = block[-1]
    return np.concatenate(values), np.concatenate(samples)

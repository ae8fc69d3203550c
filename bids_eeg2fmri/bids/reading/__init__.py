"""Read a recording, or what its headers tell: the public face of everything that reads source data."""

from bids_eeg2fmri.bids.reading.bold import Bold, BoldHeader, read_bold, read_bold_header
from bids_eeg2fmri.bids.reading.eeg import Eeg, EegHeader, channel_positions, read_eeg, read_eeg_header
from bids_eeg2fmri.bids.reading.events import find_events_file, read_events

__all__ = [
    "Bold",
    "BoldHeader",
    "Eeg",
    "EegHeader",
    "channel_positions",
    "find_events_file",
    "read_bold",
    "read_bold_header",
    "read_eeg",
    "read_eeg_header",
    "read_events",
]

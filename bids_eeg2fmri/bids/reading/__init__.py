"""Read a recording, or what its headers tell: the public face of everything that reads source data."""

from bids_eeg2fmri.bids.reading.atlas import Atlas, read_atlas
from bids_eeg2fmri.bids.reading.bold import (
    Bold,
    BoldHeader,
    read_bold,
    read_bold_header,
    read_mask,
    read_preprocessed_bold,
    read_series,
)
from bids_eeg2fmri.bids.reading.confounds import read_nuisance, standardized
from bids_eeg2fmri.bids.reading.eeg import Eeg, EegHeader, channel_positions, read_eeg, read_eeg_header
from bids_eeg2fmri.bids.reading.events import find_events_file, read_events
from bids_eeg2fmri.bids.reading.files import refuse_missing
from bids_eeg2fmri.bids.reading.physio import Physio, find_confounds_file, find_physio_file, read_physio
from bids_eeg2fmri.bids.reading.sidecars import find_root, read_sidecar
from bids_eeg2fmri.bids.reading.tables import read_table

__all__ = [
    "Atlas",
    "Bold",
    "BoldHeader",
    "Eeg",
    "EegHeader",
    "Physio",
    "channel_positions",
    "find_confounds_file",
    "find_events_file",
    "find_physio_file",
    "find_root",
    "read_atlas",
    "read_bold",
    "read_bold_header",
    "read_eeg",
    "read_eeg_header",
    "read_events",
    "read_mask",
    "read_nuisance",
    "read_physio",
    "read_preprocessed_bold",
    "read_series",
    "read_sidecar",
    "read_table",
    "refuse_missing",
    "standardized",
]

"""A recording in memory: from its files to a spectrum, its volumes' onsets and a table of voxels."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from bids_eeg2fmri.bids.recordings import Recording
from bids_eeg2fmri.bold.grid import Grid
from bids_eeg2fmri.config import BoldSettings, Settings
from bids_eeg2fmri.eeg.alignment import Alignment
from bids_eeg2fmri.eeg.downsampling import Signals
from bids_eeg2fmri.eeg.gradient import Gradient
from bids_eeg2fmri.eeg.pulse import Pulse
from bids_eeg2fmri.eeg.spectrum import Spectrum
from bids_eeg2fmri.eeg.wires import Wires
from bids_eeg2fmri.errors import InputDataError
from bids_eeg2fmri.workflow.bold import prepare_bold
from bids_eeg2fmri.workflow.eeg import Sampling, open_eeg, tell_alignment, transform
from bids_eeg2fmri.workflow.events import gather_events
from bids_eeg2fmri.workflow.montage import BadChannels, Montage
from bids_eeg2fmri.workflow.plan import Planned

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared:
    """A recording in memory.

    Attributes
    ----------
    onsets_s : array of shape (volumes,)
        Of each volume on the EEG's clock: measured ones, or those to be synthesized where there is no BOLD.
    tr_s : float
    duration_s : float
        Of the EEG.
    spectrum : Spectrum
    step_s : float
        From one frame of a window to the next.
    fingerprint : str
        Of what was measured, whatever the file is called: a model must not be judged by what it learned from.
    positions : list
        Of the spectrum's channels, x, y, z in m in the head frame or None.
    alignment, grid, table : Alignment, Grid, array of shape (volumes, voxels)
        Of the BOLD, in the source's unit; None without one.
    events : DataFrame or None
        ``onset`` (from the first volume) and ``duration`` in s, ``trial_type`` and more as the table has them.
    event_conflicts : tuple of str
        What does not fit in the tables of events, in words.
    motion, cardiac : array of shape (volumes, regressors) or None
        What the body adds to the BOLD; None where it is unknown.
    gradient, wires, pulse : Gradient, Wires, Pulse, or None
        Artefacts of the scanner in the EEG; None where they were not looked for.
    bad_channels : BadChannels or None
        None where they were not looked for.
    cleaned : Signals or None
        The EEG that the spectrum was computed from, if it is to be written.
    montage : Montage or None
        None without EEG.
    usable, confounds, bold_done, points_mm
        See ``usable``, ``confounds``, ``done`` and ``points_mm`` of :class:`~bids_eeg2fmri.workflow.bold.Measured`; None without
        BOLD.
    """

    recording: Recording
    onsets_s: np.ndarray
    tr_s: float
    duration_s: float
    spectrum: Spectrum
    step_s: float
    fingerprint: str
    positions: list
    alignment: Alignment | None = None
    grid: Grid | None = None
    table: np.ndarray | None = None
    events: pd.DataFrame | None = None
    event_conflicts: tuple[str, ...] = ()
    motion: np.ndarray | None = None
    cardiac: np.ndarray | None = None
    gradient: Gradient | None = None
    pulse: Pulse | None = None
    bad_channels: BadChannels | None = None
    cleaned: Signals | None = None
    montage: Montage | None = None
    wires: Wires | None = None
    usable: np.ndarray | None = None
    confounds: np.ndarray | None = None
    bold_done: dict[str, Any] | None = None
    points_mm: np.ndarray | None = None

    @property
    def n_volumes(self) -> int:
        return len(self.onsets_s)

    @property
    def mean(self) -> np.ndarray:
        """Mean of the BOLD's volumes that are of use, (voxels,)."""
        assert self.table is not None
        return self.table.mean(0) if self.usable is None else self.table.mean(0, where=self.usable[:, None])


def prepare(
    planned: Planned, sampling: Sampling, cleaning: Settings | None = None, *, model_grid: Grid | None = None
) -> Prepared:
    """Read, clean and transform a recording that has EEG.

    Parameters
    ----------
    planned : Planned
    sampling : Sampling
    cleaning : Settings or None
        How artefacts of the scanner are removed and what is done to the BOLD; None leaves the EEG as it is.
    model_grid : Grid, optional
        See :func:`~bids_eeg2fmri.workflow.bold.prepare_bold`.

    Raises
    ------
    Eeg2FmriError
        What is wrong with the recording, with the name of the file.
    """
    recording, alignment = planned.recording, planned.alignment
    eeg, channels = open_eeg(planned, sampling)
    bold = events = None
    conflicts: list[str] = []
    if recording.bold is not None:
        assert alignment is not None
        tell_alignment(recording, alignment)
        bold = prepare_bold(recording, cleaning.bold if cleaning is not None else BoldSettings(), model_grid=model_grid)
        onsets_s, tr_s = alignment.onsets_s, bold.tr_s
        events, conflicts = gather_events(recording, alignment, tr_s=tr_s)
        for conflict in conflicts:
            logger.warning("%s: %s", recording.name, conflict)
    else:
        tr_s = sampling.tr_s
        onsets_s = np.arange(int(eeg.duration_s / tr_s)) * tr_s
    n_slices = bold.n_slices if bold is not None else None
    of_eeg = transform(planned, eeg, channels, sampling, cleaning, onsets_s, tr_s, n_slices)
    prepared = Prepared(
        recording,
        onsets_s,
        tr_s,
        eeg.duration_s,
        of_eeg.spectrum,
        of_eeg.step_s,
        bold.fingerprint if bold is not None else "",
        of_eeg.positions_m,
        alignment,
        events=events,
        event_conflicts=tuple(conflicts),
        cardiac=of_eeg.cardiac,
        gradient=of_eeg.gradient,
        wires=of_eeg.wires,
        pulse=of_eeg.pulse,
        bad_channels=of_eeg.bad_channels,
        cleaned=of_eeg.cleaned,
        montage=of_eeg.montage,
    )
    if bold is None:
        return prepared
    return replace(
        prepared,
        grid=bold.grid,
        table=bold.table,
        motion=bold.motion,
        usable=bold.usable,
        confounds=bold.confounds,
        bold_done=bold.done,
        points_mm=bold.points_mm,
    )


def on_common_ground(prepared: Sequence[Prepared]) -> tuple[list[Prepared], list[tuple[Recording, str]]]:
    """Bring the recordings of a participant to the same voxels and channels.

    Returns
    -------
    kept, left_out
        The recordings on the grid that most of them share, with the voxels and channels that all have; and the others,
        with the reason.
    """
    grids = [p.grid for p in prepared if p.grid is not None]
    majority = max(grids, key=lambda grid: sum(grid.same_as(other) for other in grids))
    kept = [p for p in prepared if p.grid is not None and p.grid.same_as(majority)]
    left_out = [
        (
            p.recording,
            f"its grid {p.grid.mask.shape} is not the {majority.mask.shape} of the other recordings at the same place",
        )
        for p in prepared
        if p.grid is not None and not p.grid.same_as(majority)
    ]
    mask = np.logical_and.reduce([p.grid.mask for p in kept if p.grid is not None])
    if np.count_nonzero(mask) < 20:
        raise InputDataError(
            f"{kept[0].recording.bold}: its brain mask and those of the other runs have only {np.count_nonzero(mask)} voxels "
            "in common; look at the images"
        )
    channels = tuple(c for c in kept[0].spectrum.channels if all(c in p.spectrum.channels for p in kept))
    if not channels:
        raise InputDataError(
            f"{kept[0].recording.eeg}: no channel in common with the other runs; check channels.tsv, or name channels "
            "for all of them in [montage] of the settings"
        )
    return [_restricted(p, mask, channels) for p in kept], left_out


def _restricted(prepared: Prepared, mask: np.ndarray, channels: tuple[str, ...]) -> Prepared:
    assert prepared.grid is not None
    assert prepared.table is not None
    order = [prepared.spectrum.channels.index(channel) for channel in channels]
    table = prepared.table
    if not np.array_equal(mask, prepared.grid.mask):
        table = table[:, mask[prepared.grid.mask]]
    return replace(
        prepared,
        spectrum=prepared.spectrum.of(channels),
        positions=[prepared.positions[i] for i in order],
        grid=replace(prepared.grid, mask=mask),
        table=table,
    )

"""Read the files of a prediction that came from elsewhere, and what it is to be judged by."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from bids_eeg2fmri.bids.reading import (
    Bold,
    find_events_file,
    find_root,
    read_events,
    read_mask,
    read_series,
    read_sidecar,
    read_table,
    refuse_missing,
)
from bids_eeg2fmri.bids.recordings import Recording
from bids_eeg2fmri.bold.grid import Grid, resample
from bids_eeg2fmri.bold.masking import brain_mask
from bids_eeg2fmri.config import Settings
from bids_eeg2fmri.eeg.alignment import Alignment
from bids_eeg2fmri.eeg.spectrum import Spectrum
from bids_eeg2fmri.errors import Eeg2FmriError, InputDataError
from bids_eeg2fmri.evaluation.confounds import read_confounds
from bids_eeg2fmri.workflow.body import describe_motion
from bids_eeg2fmri.workflow.eeg import OfEeg, Sampling, prepare_eeg
from bids_eeg2fmri.workflow.plan import plan_pairs
from bids_eeg2fmri.workflow.preparation import Prepared, on_common_ground
from bids_eeg2fmri.workflow.units import Unit, changes_of, unit_of

logger = logging.getLogger(__name__)

FEWEST_VOLUMES = 20
# Of a run without EEG: no channels.
NO_EEG = Spectrum(np.zeros((1, 0, 2), np.float32), np.array([1.0, 2.0]), np.zeros(1), ())


@dataclass(frozen=True)
class Files:
    """The files of one run.

    Attributes
    ----------
    predicted, measured : Path
        NIfTI series of the same volumes.
    events : Path or None
        ``onset`` in s from the first volume; None takes what lies beside the measured series under its name.
    eeg : Path or None
    confounds : Path or None
        Motion, as fMRIPrep names it; None takes what lies beside the measured series, or else estimates it from the image.
    blocks : Path or None
        A row per volume; ``fold`` tells which of several models predicted it, ``n/a`` that none did.
    """

    predicted: Path
    measured: Path
    events: Path | None = None
    eeg: Path | None = None
    confounds: Path | None = None
    blocks: Path | None = None

    @property
    def name(self) -> str:
        return self.measured.name.split(".")[0]


@dataclass(frozen=True)
class Foreign:
    """A prediction from elsewhere beside the measurement.

    Attributes
    ----------
    runs : list of Prepared
        The measured side; without EEG, of no channels.
    changes : list of arrays of shape (volumes, voxels)
        What is predicted: percent signal change from its own mean, or, if the unit is "other", in a unit in which its mean
        image has the contrast of the measured one.
    blocks : list of arrays of shape (volumes,)
        Number of the model that predicts each volume, -1 where none does.
    images : list of pairs of arrays of shape (x, y, z, volumes)
        Measured and predicted, whole volumes as they are.
    unit : str
    amplitude_known : bool
        Whether the size of the changes can be compared with that of the measured ones.
    notes : list of str
        What was found, and what was taken for granted.
    """

    runs: list[Prepared]
    changes: list[np.ndarray]
    blocks: list[np.ndarray]
    images: list[tuple[np.ndarray, np.ndarray]]
    unit: Unit
    amplitude_known: bool
    notes: list[str]

    @property
    def grid(self) -> Grid:
        grid = self.runs[0].grid
        assert grid is not None
        return grid


def read_foreign(
    files: Sequence[Files],
    settings: Settings,
    *,
    mask: Path | None = None,
    tr_s: float | None = None,
    unit: Unit | None = None,
    resampled: bool = False,
) -> Foreign:
    """Read predictions and measurements, and whatever makes the baselines.

    Parameters
    ----------
    files : sequence of Files
        Runs of one participant on one voxel grid; all with EEG, or none.
    mask : Path or None
        What is judged; None finds the brain in the measured mean images.
    tr_s : float or None
        Repetition time; None takes that of sidecar or header.
    unit : str or None
        Of the prediction; None looks at it.
    resampled : bool
        Bring a prediction on another grid to that of the measurement.

    Raises
    ------
    Eeg2FmriError
        What is wrong with a file, with its name.
    """
    notes: list[str] = []
    bolds = [_read_measured(f.measured, tr_s, notes) for f in files]
    for f, bold in zip(files, bolds, strict=True):
        if not _grid(bold).same_as(_grid(bolds[0])):
            raise InputDataError(
                f"{f.measured}: expected the voxel grid of {files[0].measured.name}, found another one; judge runs on different "
                "grids by themselves"
            )
    predictions = [_read_predicted(f, bold, resampled=resampled) for f, bold in zip(files, bolds, strict=True)]
    grid = Grid(_find_mask(files, bolds, mask, notes), bolds[0].affine, bolds[0].space_code)
    tables = [grid.table(bold.data) for bold in bolds]
    usable = np.all([np.isfinite(t).all(0) & (t.mean(0) > 0) for t in tables], axis=0)
    if usable.mean() < 0.9:
        raise InputDataError(
            f"{files[0].measured}: expected intensities, found {np.mean(~usable):.0%} of the voxels of the mask without a mean "
            "above 0 or with NaN; give the series as it was before it was centered or standardized, or a mask that fits"
        )
    if not usable.all():
        notes.append(
            f"{np.sum(~usable)} of {usable.size} voxels of the mask have no intensity in the measured series; left out"
        )
        inside = np.zeros_like(grid.mask)
        inside[grid.mask] = usable
        grid = Grid(inside, grid.affine, grid.space_code)
        tables = [table[:, usable] for table in tables]

    blocks = [_read_blocks(f.blocks, bold.header.n_volumes) for f, bold in zip(files, bolds, strict=True)]
    said = [grid.table(prediction) for prediction in predictions]
    for f, table, block in zip(files, said, blocks, strict=True):
        _refuse_nan(f, table, block)
    found = unit_of([p[..., b >= 0] for p, b in zip(predictions, blocks, strict=True)], grid)
    if unit == "intensity" and found != "intensity":
        raise InputDataError(
            f"{files[0].predicted}: expected intensities, as --unit says, found values of another kind (means that are not above "
            "0); pass --unit percent or other"
        )
    unit = unit or found
    changes, amplitude_known = changes_of(said, blocks, tables, unit, notes)
    runs = _prepare(files, bolds, grid, tables, settings, notes)
    images = [(bold.data, prediction) for bold, prediction in zip(bolds, predictions, strict=True)]
    return Foreign(runs, changes, blocks, images, unit, amplitude_known, notes)


# -------------------------------------------------------------------------------------------------------------- images


def _read_measured(path: Path, tr_s: float | None, notes: list[str]) -> Bold:
    metadata = read_sidecar(find_root(path), path)
    stated = metadata.get("RepetitionTime")
    if tr_s is None:
        bold = read_series(path, metadata)
        if stated is None and bold.tr_s == 1.0:
            notes.append(
                f"{path.name}: repetition time of 1 s by its header, which also stands where nobody told it; if it is another, "
                "pass --tr"
            )
        return bold
    if isinstance(stated, (int, float)) and abs(stated / tr_s - 1) > 0.01:
        raise InputDataError(
            f"{path}: expected one repetition time, found {tr_s:g} s in --tr and {stated:g} s in the sidecar; correct the wrong one"
        )
    return read_series(path, metadata | {"RepetitionTime": tr_s}, told_by="--tr")


def _read_predicted(files: Files, bold: Bold, *, resampled: bool) -> np.ndarray:
    path = files.predicted
    predicted = read_series(path, {"RepetitionTime": bold.tr_s}, told_by="the measured series")
    n, expected = predicted.header.n_volumes, bold.header.n_volumes
    if n != expected:
        raise InputDataError(
            f"{path}: expected {expected} volumes, as {files.measured.name} has, found {n}; cut both to the same volumes"
        )
    if _grid(predicted).same_as(_grid(bold)):
        return predicted.data
    if not resampled:
        raise InputDataError(
            f"{path}: expected the grid of {files.measured.name} ({_describe(bold)}), found {_describe(predicted)}; resample it, "
            "or pass --resample"
        )
    return resample(predicted.data, predicted.affine, _grid(bold))


def _grid(bold: Bold) -> Grid:
    return Grid(np.ones(bold.data.shape[:3], dtype=bool), bold.affine, bold.space_code)


def _describe(bold: Bold) -> str:
    rows = "; ".join(" ".join(f"{value:.4g}" for value in row) for row in bold.affine[:3] + 0.0)
    return f"{' x '.join(map(str, bold.data.shape[:3]))} voxels, affine [{rows}]"


def _find_mask(files: Sequence[Files], bolds: Sequence[Bold], path: Path | None, notes: list[str]) -> np.ndarray:
    if path is not None:
        mask, affine = read_mask(path)
        if not _grid(bolds[0]).same_as(Grid(mask, affine)):
            found = " x ".join(map(str, mask.shape))
            raise InputDataError(
                f"{path}: expected the grid of {files[0].measured.name} ({_describe(bolds[0])}), found another one ({found} "
                "voxels); resample the mask"
            )
    else:
        masks = []
        for f, bold in zip(files, bolds, strict=True):
            try:
                masks.append(brain_mask(bold.data.mean(-1, dtype=np.float64), bold.affine))
            except InputDataError as error:
                raise InputDataError(f"{f.measured}: {error}; or pass --mask") from None
        mask = np.logical_and.reduce(masks)
        notes.append("judged is the brain that the histogram of the measured mean image tells; --mask names another")
    if np.count_nonzero(mask) < 20:
        raise InputDataError(
            f"{path or files[0].measured}: expected a mask of at least 20 voxels, found {np.count_nonzero(mask)}; look at it"
        )
    return mask


def _refuse_nan(files: Files, table: np.ndarray, blocks: np.ndarray) -> None:
    bad = ~np.isfinite(table[blocks >= 0])
    if bad.any():
        raise InputDataError(
            f"{files.predicted}: expected numbers in the mask, found NaN or infinity in {np.sum(bad.any(1))} of {len(bad)} volumes "
            f"and {np.sum(bad.any(0))} of {bad.shape[1]} voxels; predict them, or leave volumes out with --blocks or voxels "
            "with --mask"
        )


def _read_blocks(path: Path | None, n_volumes: int) -> np.ndarray:
    if path is None:
        return np.zeros(n_volumes, dtype=int)
    table = read_table(path)
    if "fold" not in table:
        raise InputDataError(f"{path}: expected a column fold, found {', '.join(table.columns[:8])}; name it so")
    if len(table) != n_volumes:
        raise InputDataError(
            f"{path}: expected {n_volumes} rows, one per volume, found {len(table)}; correct the table"
        )
    told = table["fold"] != "n/a"
    fold = pd.to_numeric(table["fold"].where(told, "0"), errors="coerce")
    if fold.isna().any() or (fold % 1 != 0).any() or (fold < 0).any():
        wrong = table["fold"][(fold.isna() | (fold % 1 != 0) | (fold < 0)).to_numpy()].iloc[0]
        raise InputDataError(
            f"{path}: expected whole numbers from 0 on or n/a as fold, found {wrong!r}; correct the table"
        )
    # The app's own tables tell apart who predicted a volume and whether anybody did.
    predicted = table["synthesized"].str.lower() == "true" if "synthesized" in table else told
    if predicted.sum() < FEWEST_VOLUMES:
        raise InputDataError(
            f"{path}: expected at least {FEWEST_VOLUMES} volumes that were predicted, found {predicted.sum()}; longer runs are "
            "needed"
        )
    return np.where(predicted, fold, -1).astype(int)


# -------------------------------------------------------------------------------------------------- what else is known


def _prepare(
    files: Sequence[Files],
    bolds: Sequence[Bold],
    grid: Grid,
    tables: Sequence[np.ndarray],
    settings: Settings,
    notes: list[str],
) -> list[Prepared]:
    runs = []
    of_eeg = _read_eeg(files, bolds, settings)
    for f, bold, table, (alignment, eeg) in zip(files, bolds, tables, of_eeg, strict=True):
        n, tr_s = bold.header.n_volumes, bold.tr_s
        recording = Recording("", f.eeg, f.measured, "paired", "named by the user")
        runs.append(
            Prepared(
                recording=recording,
                onsets_s=alignment.onsets_s if alignment is not None else tr_s * np.arange(n),
                tr_s=tr_s,
                duration_s=tr_s * n,
                spectrum=eeg.spectrum,
                step_s=eeg.step_s,
                fingerprint="",
                positions=[None] * len(eeg.spectrum.channels),
                alignment=alignment,
                grid=grid,
                table=table,
                events=_events(f, notes),
                motion=_motion(f, recording, bold, grid),
                cardiac=eeg.cardiac,
            )
        )
    return on_common_ground(runs)[0] if runs[0].spectrum.channels else runs


def _read_eeg(
    files: Sequence[Files], bolds: Sequence[Bold], settings: Settings
) -> list[tuple[Alignment | None, OfEeg]]:
    pairs = [(f.eeg, f.measured) for f in files if f.eeg is not None]
    if not pairs:
        return [(None, OfEeg(NO_EEG, bold.tr_s, None)) for bold in bolds]
    sampling = Sampling.by_settings(settings)
    planned = plan_pairs(pairs, [bold.header for bold in bolds], settings)
    return [
        (
            plan.alignment,
            prepare_eeg(plan, sampling, settings, tr_s=bold.tr_s, n_slices=bold.header.slice_groups),
        )
        for plan, bold in zip(planned, bolds, strict=True)
    ]


def _events(files: Files, notes: list[str]) -> pd.DataFrame | None:
    path = files.events or find_events_file(find_root(files.measured), files.measured)
    if path is None:
        return None
    try:
        events = read_events(path)
    except Eeg2FmriError as error:
        if files.events is not None:
            raise
        notes.append(str(error))
        return None
    if files.events is None:
        notes.append(f"events: {path}, which lies where BIDS has it; --events names others")
    return events if len(events) else None


def _motion(files: Files, recording: Recording, bold: Bold, grid: Grid) -> np.ndarray | None:
    if files.confounds is None:
        return describe_motion(recording, bold, grid.mask)
    refuse_missing(files.confounds)
    table = read_confounds(files.confounds).to_numpy(np.float32)
    if len(table) != bold.header.n_volumes:
        raise InputDataError(
            f"{files.confounds}: expected {bold.header.n_volumes} rows, one per volume, found {len(table)}; correct the table"
        )
    return table

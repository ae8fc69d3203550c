"""The BOLD of a recording on its way to a table of voxels: as another pipeline made it, or by a light path of our own."""

import hashlib
import logging
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from bids_eeg2fmri.bids.pipelines import NATIVE
from bids_eeg2fmri.bids.reading import Bold, read_bold, read_mask, read_nuisance, read_preprocessed_bold, standardized
from bids_eeg2fmri.bids.recordings import PreprocessedBold, Recording
from bids_eeg2fmri.bold.grid import Grid, smooth
from bids_eeg2fmri.bold.masking import brain_mask
from bids_eeg2fmri.bold.normalization import TEMPLATE, Normalization, normalize, template_grid
from bids_eeg2fmri.bold.realignment import Motion, estimate_position, resample_at
from bids_eeg2fmri.bold.steady import count_unsteady
from bids_eeg2fmri.config import BoldSettings
from bids_eeg2fmri.errors import InputDataError
from bids_eeg2fmri.evaluation.baselines import expand_motion
from bids_eeg2fmri.workflow.body import describe_motion

logger = logging.getLogger(__name__)

# A head that stays within it, or within this share of a voxel, is left where it is: interpolation would blur more than it mends,
# and noise alone is taken for so much.
LEAST_MOTION_MM, LEAST_MOTION_VOXELS = 0.2, 0.05
# Framewise displacement of volumes that "scrubbing" leaves out, nilearn's.
SCRUBBED_MM = 0.5
# Share of the volumes in which a voxel of the brain has to be above 0.
LEAST_LIT = 0.95
# Volumes of which a mean image is made for the registration.
N_AVERAGED = 20


@dataclass(frozen=True)
class Measured:
    """The BOLD of a recording in memory.

    Attributes
    ----------
    grid : Grid
    table : array of shape (volumes, voxels)
        In the source's unit.
    tr_s : float
    usable : array of shape (volumes,)
        False for volumes to learn nothing from and not to be judged by: before the steady state, or scrubbed.
    confounds : array of shape (volumes, regressors) or None
        Left out of targets and scores.
    motion : array of shape (volumes, regressors) or None
        What the "nuisance only" baseline knows of the head.
    n_slices : int or None
        Excitations per volume.
    fingerprint : str
        Of the series.
    done : dict
        What was done to it, in plain values, for the summary and the sidecar.
    points_mm : array of shape (x, y, z, 3) or None
        Where the voxels of a normalized series lie in the series as recorded.
    """

    grid: Grid
    table: np.ndarray
    tr_s: float
    usable: np.ndarray
    confounds: np.ndarray | None
    motion: np.ndarray | None
    n_slices: int | None
    fingerprint: str
    done: dict[str, Any] = field(default_factory=dict)
    points_mm: np.ndarray | None = None


def prepare_bold(recording: Recording, settings: BoldSettings, *, model_grid: Grid | None = None) -> Measured:
    """Read the BOLD of a recording, and bring it to voxels in percent of which a model can learn.

    Parameters
    ----------
    recording : Recording
    settings : BoldSettings
    model_grid : Grid, optional
        Of a model that is applied: a series in the same standard space is brought to its voxels.

    Raises
    ------
    Eeg2FmriError
        What is wrong with it, with the name of the file.
    """
    try:
        if recording.preprocessed is not None:
            measured = _as_preprocessed(recording, recording.preprocessed, settings)
            if model_grid is not None and model_grid.space == measured.grid.space and model_grid.space:
                measured = _on_grid(measured, model_grid)
        else:
            measured = _as_recorded(recording, settings, model_grid)
    except InputDataError as error:
        named = any(str(path) in str(error) for path in _files(recording))
        raise error if named else InputDataError(f"{recording.bold}: {error}") from None
    if settings.smoothing_fwhm_mm:
        table = smooth(measured.table, measured.grid, fwhm_mm=settings.smoothing_fwhm_mm)
        measured = replace(
            measured, table=table, done=measured.done | {"smoothing_fwhm_mm": settings.smoothing_fwhm_mm}
        )
    done = measured.done | {"tsnr": [measured.done.get("tsnr"), _signal_to_noise(measured.table, measured.usable)]}
    measured = replace(measured, done=done)
    n_left = int(np.count_nonzero(~measured.usable))
    logger.info("%s: BOLD %s", recording.name, describe(measured.done))
    if n_left > 0.5 * len(measured.usable):
        raise InputDataError(
            f"{recording.bold}: expected most volumes to be of use, found {n_left} of {len(measured.usable)} scrubbed or before "
            "the steady state; look at the motion of the head, or choose another strategy for bold.confounds"
        )
    return measured


def describe(done: dict[str, Any]) -> str:
    """Say in words what was done to a series."""
    told = [f"as {done['pipeline']} made it" if "pipeline" in done else "as recorded"]
    told.append(f"in the space {done['space']}")
    if done["n_unsteady"]:
        told.append(f"{done['n_unsteady']} volumes before the steady state left out")
    if done["n_left_out"] > done["n_unsteady"]:
        told.append(f"{done['n_left_out'] - done['n_unsteady']} scrubbed")
    if "motion" in done:
        motion = done["motion"]
        told.append(
            f"head moved up to {motion['farthest_mm']:.1f} mm, {'realigned' if motion['realigned'] else 'left where it is'}"
        )
    if "normalization" in done:
        told.append(f"overlap with the template (Dice) {done['normalization']['overlap'][1]:.2f}")
    if done["n_confounds"]:
        told.append(f"{done['n_confounds']} confounds ({done['confounds']})")
    if "smoothing_fwhm_mm" in done:
        told.append(f"smoothed by {done['smoothing_fwhm_mm']:g} mm")
    return ", ".join(told)


def _as_preprocessed(recording: Recording, preprocessed: PreprocessedBold, settings: BoldSettings) -> Measured:
    """Take the series, the mask and the confounds of another pipeline."""
    bold = read_preprocessed_bold(recording, preprocessed)
    n_volumes = bold.data.shape[-1]
    confounds, usable = read_nuisance(preprocessed, settings.confounds, n_volumes)
    mean = _mean(bold.data, np.flatnonzero(usable))
    if preprocessed.mask is not None:
        mask, affine = read_mask(preprocessed.mask)
        if mask.shape != mean.shape or not np.allclose(affine, bold.affine, atol=0.01):
            raise InputDataError(
                f"{preprocessed.mask}: expected the voxels of the series, {mean.shape}, found {mask.shape} or another affine; copy "
                "it anew"
            )
        # A voxel that is NaN once has a NaN mean, and is outside.
        mask &= (np.nan_to_num(mean) > 0) & _lit(bold.data, np.flatnonzero(usable))
        if np.count_nonzero(mask) < 20:
            raise InputDataError(
                f"{preprocessed.mask}: expected a brain, found {np.count_nonzero(mask)} voxels; copy it anew"
            )
    else:
        mask = brain_mask(mean, bold.affine) & _lit(bold.data, np.flatnonzero(usable))
    space = "" if preprocessed.space == NATIVE else preprocessed.space
    grid = Grid(mask, bold.affine, bold.space_code, space, preprocessed.resolution or "")
    n_unsteady = _leading(~usable)
    done = {
        "pipeline": preprocessed.pipeline.name,
        "file": preprocessed.path.relative_to(preprocessed.pipeline.root).as_posix(),
        "space": preprocessed.space,
        "n_unsteady": n_unsteady,
        "n_left_out": int(np.count_nonzero(~usable)),
        "confounds": settings.confounds,
        "n_confounds": 0 if confounds is None else confounds.shape[1],
        "slice_timing_corrected": preprocessed.metadata.get("SliceTimingCorrected"),
    }
    return Measured(
        grid,
        grid.table(bold.data),
        bold.tr_s,
        usable,
        confounds,
        describe_motion(recording, bold, mask, table=preprocessed.confounds),
        bold.header.slice_groups,
        _fingerprint(bold.data),
        done,
    )


def _as_recorded(recording: Recording, settings: BoldSettings, model_grid: Grid | None) -> Measured:
    """Find the steady state, undo the motion of the head, and normalize if that is asked for: one interpolation for all."""
    to_template = settings.space.partition(":")[0] == TEMPLATE
    if not to_template and settings.space not in ("auto", NATIVE) and model_grid is None:
        raise InputDataError(
            f"expected what a pipeline made of it in the space {settings.space}, found no such derivatives; name their folder with "
            f"--derivatives, or choose --output-spaces {TEMPLATE}, to which recorded BOLD is normalized, or native"
        )
    if settings.confounds == "compcor":
        raise InputDataError(
            'expected the derivatives of fMRIPrep for bold.confounds = "compcor", found none; name their folder with '
            '--derivatives, or choose "simple", which is the motion of the head for BOLD as recorded'
        )
    bold = read_bold(recording)
    n_volumes = bold.data.shape[-1]
    first_mask = brain_mask(_mean(bold.data, np.arange(n_volumes)), bold.affine)
    n_unsteady = count_unsteady(bold.data[first_mask].mean(0, dtype=np.float64), tr_s=bold.tr_s)
    usable = np.arange(n_volumes) >= n_unsteady
    steady = np.flatnonzero(usable)
    motion = (
        _find_motion(recording, bold, n_unsteady)
        if settings.realign == "auto" or settings.confounds != "none"
        else None
    )
    voxel_mm = float(np.linalg.norm(bold.affine[:3, :3], axis=0).max())
    least_mm = max(LEAST_MOTION_MM, LEAST_MOTION_VOXELS * voxel_mm)
    moved = motion is not None and motion.farthest_mm > least_mm and settings.realign == "auto"
    undone = motion if moved else None
    confounds = None
    if settings.confounds != "none":
        if motion is None:
            raise InputDataError(
                f"expected motion of the head that can be told from the image for bold.confounds = {settings.confounds!r}, found "
                'none; choose "none"'
            )
        if settings.confounds == "scrubbing":
            usable &= motion.framewise_mm <= SCRUBBED_MM
        confounds = standardized(expand_motion(motion.parameters).astype(np.float64), usable)
    done: dict[str, Any] = {
        "space": TEMPLATE if to_template else NATIVE,
        "n_unsteady": n_unsteady,
        "n_left_out": int(np.count_nonzero(~usable)),
        "confounds": settings.confounds,
        "n_confounds": 0 if confounds is None else confounds.shape[1],
    }
    if motion is not None:
        framewise = motion.framewise_mm[n_unsteady:]
        done["motion"] = {
            "realigned": moved,
            "farthest_mm": round(motion.farthest_mm, 3),
            "framewise_mm_mean": round(float(framewise.mean()), 4),
            "framewise_mm": np.round(motion.framewise_mm, 3).tolist(),
        }
    done["tsnr"] = _signal_to_noise(bold.data[first_mask].T, usable)
    body = describe_motion(recording, bold, first_mask)
    fingerprint = _fingerprint(bold.data)
    points_mm = None
    mean = _mean_realigned(bold, steady, undone)
    mask = brain_mask(mean, bold.affine)
    if to_template:
        found = normalize(mean, mask, bold.affine)
        wanted = model_grid if model_grid is not None else template_grid(settings.resolution_mm)
        grid, table, points_mm = _at_template(bold, undone, found, wanted, n_unsteady)
        done["normalization"] = {
            "overlap": [round(value, 3) for value in found.overlap],
            "affine": np.round(found.affine, 5).tolist(),
        }
    else:
        grid = Grid(mask, bold.affine, bold.space_code)
        table = grid.table(bold.data) if undone is None else _table_at(bold, undone, grid.coordinates_mm())
        grid, table = _within(grid, table, np.mean(table[n_unsteady:] > 0, axis=0) >= LEAST_LIT)
    return Measured(
        grid, table, bold.tr_s, usable, confounds, body, bold.header.slice_groups, fingerprint, done, points_mm
    )


def _find_motion(recording: Recording, bold: Bold, reference: int) -> Motion | None:
    try:
        return estimate_position(bold.data, bold.affine, reference=reference)
    except InputDataError as error:
        logger.warning("%s: %s", recording.name, error)
        return None


def _mean_realigned(bold: Bold, steady: np.ndarray, motion: Motion | None) -> np.ndarray:
    """Average a series; where the head moved, some of its volumes, each brought to where it was first."""
    if motion is None:
        return _mean(bold.data, steady)
    some = steady[np.unique(np.linspace(0, len(steady) - 1, N_AVERAGED).astype(int))]
    shape = bold.data.shape[:3]
    chosen = Motion(motion.matrices[some], motion.center_mm)
    volumes = resample_at(bold.data[..., some], bold.affine, _centers(shape, bold.affine), chosen)
    return np.asarray(np.mean(list(volumes), axis=0, dtype=np.float64)).reshape(shape)


def _at_template(
    bold: Bold, motion: Motion | None, found: Normalization, wanted: Grid, n_unsteady: int
) -> tuple[Grid, np.ndarray, np.ndarray]:
    """Interpolate every volume at the voxels of the template that it shows."""
    points = found.locate(wanted.coordinates_mm())
    seen = np.isfinite(points).all(1)
    mask = wanted.mask.copy()
    mask[wanted.mask] = seen
    table = _table_at(bold, motion, points[seen])
    mean = table[n_unsteady:].mean(0)
    # Where the series shows nothing of the brain, signal is lost, or the field of view ends.
    shown = (mean > 0.2 * np.percentile(mean, 90)) & (np.mean(table[n_unsteady:] > 0, axis=0) >= LEAST_LIT)
    everywhere = np.full((*wanted.mask.shape, 3), np.nan, dtype=np.float32)
    everywhere[wanted.mask] = points
    return *_within(replace(wanted, mask=mask), table, shown), everywhere


def _table_at(bold: Bold, motion: Motion | None, points_mm: np.ndarray) -> np.ndarray:
    """Interpolate every volume at points of the head, (volumes, points)."""
    table = np.empty((bold.data.shape[-1], len(points_mm)), dtype=np.float32)
    for number, values in enumerate(resample_at(bold.data, bold.affine, points_mm, motion)):
        table[number] = values
    return table


def _within(grid: Grid, table: np.ndarray, kept: np.ndarray) -> tuple[Grid, np.ndarray]:
    """Leave voxels out."""
    if kept.all():
        return grid, table
    mask = grid.mask.copy()
    mask[grid.mask] = kept
    return replace(grid, mask=mask), np.ascontiguousarray(table[:, kept])


def _on_grid(measured: Measured, grid: Grid) -> Measured:
    """Bring a series to the voxels of a model in the same standard space, by linear interpolation."""
    from scipy.ndimage import map_coordinates

    own = measured.grid
    if own.same_as(grid):
        return measured
    to_voxels = np.linalg.inv(own.affine)
    where = to_voxels[:3, :3] @ grid.coordinates_mm().T + to_voxels[:3, 3:]
    share = map_coordinates(own.mask.astype(np.float32), where, order=1)
    kept = share > 0.5
    if np.count_nonzero(kept) < 20:
        return measured
    mask = grid.mask.copy()
    mask[grid.mask] = kept
    table = np.empty((len(measured.table), np.count_nonzero(kept)), dtype=np.float32)
    for number, volume in enumerate(measured.table):
        # Of voxels at the rim, what lies outside the brain counts for nothing.
        table[number] = map_coordinates(own.array(volume), where[:, kept], order=1) / share[kept]
    return replace(measured, grid=replace(grid, mask=mask), table=table)


def _mean(data: np.ndarray, volumes: np.ndarray) -> np.ndarray:
    """Average without a copy of the series."""
    first, last = volumes[0], volumes[-1]
    if len(volumes) == last - first + 1:
        return data[..., first : last + 1].mean(-1, dtype=np.float64)
    return np.asarray(np.mean([data[..., volume] for volume in volumes], axis=0, dtype=np.float64))


def _signal_to_noise(table: np.ndarray, usable: np.ndarray) -> float:
    """Mean over standard deviation in time of the median voxel, of every tenth of them: (volumes, voxels) to one number."""
    some = table[:, ::10][usable].astype(np.float64)
    spread = some.std(0)
    return round(float(np.median(some.mean(0)[spread > 0] / spread[spread > 0])), 2)


def _lit(data: np.ndarray, volumes: np.ndarray) -> np.ndarray:
    """Tell the voxels that are above 0 in nearly all volumes: others, at the rim of the image, have no level to change from."""
    count = np.zeros(data.shape[:3], dtype=np.int32)
    for volume in volumes:
        count += data[..., volume] > 0
    return count >= LEAST_LIT * len(volumes)


def _leading(flags: np.ndarray) -> int:
    """Count the flags at the start."""
    return len(flags) if flags.all() else int(np.argmin(flags))


def _centers(shape: tuple[int, ...], affine: np.ndarray) -> np.ndarray:
    """Centers of all voxels in mm, (voxels, 3), RAS, in C order."""
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1).reshape(-1, 3)
    return grid @ affine[:3, :3].T + affine[:3, 3]


def _files(recording: Recording) -> list[Any]:
    found = recording.preprocessed
    return [recording.bold, *([] if found is None else [found.path, found.mask, found.confounds])]


def _fingerprint(data: np.ndarray) -> str:
    """Sixteen characters from the mean of every volume: neither the file's name nor its compression matters."""
    course = data.mean((0, 1, 2), dtype=np.float64)
    return hashlib.sha256(" ".join(f"{value:.5e}" for value in course).encode()).hexdigest()[:16]

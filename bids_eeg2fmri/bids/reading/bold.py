"""Read BOLD: NIfTI, compressed or not, and what its sidecar says of the series."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from bids_eeg2fmri.bids.reading.files import refuse_missing
from bids_eeg2fmri.bids.recordings import PreprocessedBold, Recording
from bids_eeg2fmri.errors import InputDataError, MissingFilesError

# Slices of one excitation are noted with times that differ by the rounding of the scanner; no scanner excites as fast.
SAME_EXCITATION_S = 0.003


@dataclass(frozen=True)
class BoldHeader:
    """What header and sidecar say of a series.

    Attributes
    ----------
    n_volumes : int
    tr_s : float
        Repetition time.
    n_slices : int
    n_discarded : int or None
        Volumes scanned before the first stored one; None where the sidecar is silent.
    slice_groups : int or None
        Excitations per volume; None for a 3-D acquisition, which has no slices.
    """

    n_volumes: int
    tr_s: float
    n_slices: int
    n_discarded: int | None
    slice_groups: int | None


@dataclass(frozen=True)
class Bold:
    """BOLD of a recording.

    Attributes
    ----------
    data : array of shape (x, y, z, volumes)
        float32.
    affine : array of shape (4, 4)
    space_code : int
        NIfTI's, of the space that the affine leads to.
    header : BoldHeader
    """

    data: np.ndarray
    affine: np.ndarray
    space_code: int
    header: BoldHeader

    @property
    def tr_s(self) -> float:
        return self.header.tr_s


def read_bold_header(path: Path, metadata: Mapping[str, Any]) -> BoldHeader:
    """Read what is known of a series without its voxels.

    Parameters
    ----------
    path : Path
    metadata : mapping
        Its sidecar, inheritance applied.

    Raises
    ------
    MissingFilesError
        If the file, or its content, is not there.
    InputDataError
        If it is no series, or sidecar and header disagree on the repetition time.
    """
    return _describe(path, _open(path), metadata)


def read_bold(recording: Recording) -> Bold:
    """Load the BOLD series.

    Raises
    ------
    MissingFilesError
        If the file, or its content, is not there.
    InputDataError
        If the file is truncated or not a series, its voxels are all NaN, or sidecar and header disagree on the
        repetition time.
    """
    path = recording.bold
    assert path is not None
    bold = read_series(path, recording.bold_metadata)
    if not np.isfinite(bold.data).any() or float(np.nanmax(bold.data)) <= float(np.nanmin(bold.data)):
        raise InputDataError(f"{path}: expected an image, found nothing but NaN or one constant; copy it anew")
    return bold


def read_preprocessed_bold(recording: Recording, preprocessed: PreprocessedBold) -> Bold:
    """Load a series as another pipeline made it, with the timing of the recorded one.

    Raises
    ------
    MissingFilesError, InputDataError
        See :func:`read_bold`; also if it has not as many volumes as were recorded.
    """
    # Of slices, only the series as recorded can tell.
    metadata = dict(recording.bold_metadata) | {
        key: value for key, value in preprocessed.metadata.items() if key in ("RepetitionTime",)
    }
    bold = read_series(preprocessed.path, metadata)
    assert recording.bold is not None
    try:
        recorded = read_bold_header(recording.bold, recording.bold_metadata)
    except MissingFilesError:
        pass  # a link or pointer of git-annex without its content, which is not needed
    else:
        if recorded.n_volumes != bold.header.n_volumes:
            raise InputDataError(
                f"{preprocessed.path}: expected {recorded.n_volumes} volumes as in {recording.bold.name}, found "
                f"{bold.header.n_volumes}; if the pipeline left some out, have it keep them"
            )
        bold = replace(bold, header=recorded)
    if not np.isfinite(bold.data).any() or float(np.nanmax(bold.data)) <= float(np.nanmin(bold.data)):
        raise InputDataError(
            f"{preprocessed.path}: expected an image, found nothing but NaN or one constant; copy it anew"
        )
    return bold


def read_series(path: Path, metadata: Mapping[str, Any], *, told_by: str = "the sidecar") -> Bold:
    """Load a series of volumes, measured or not; one that never changes is no fault here.

    Parameters
    ----------
    path : Path
    metadata : mapping
        As a sidecar has it.
    told_by : str
        Where its repetition time comes from, in words.

    Raises
    ------
    MissingFilesError, InputDataError
        See :func:`read_bold`.
    """
    image = _open(path)
    header = _describe(path, image, metadata, told_by)
    return Bold(_load(path, image), image.affine, _space_code(image), header)


def read_mask(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read a mask: (x, y, z), True where it is above 0, and its affine.

    Raises
    ------
    MissingFilesError
        If the file, or its content, is not there.
    InputDataError
        If it is not one volume.
    """
    data, affine = read_volume(path, "a mask")
    return np.nan_to_num(data) > 0, affine


def read_volume(path: Path, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Read one volume, (x, y, z), and its affine; ``kind`` is what it should be, in words.

    Raises
    ------
    MissingFilesError, InputDataError
        See :func:`read_mask`.
    """
    image = _open_any(path)
    data = _load(path, image)
    data = data[..., 0] if data.ndim == 4 and data.shape[3] == 1 else data
    if data.ndim != 3:
        raise InputDataError(
            f"{path}: expected {kind} of one volume (3-D), found the shape {data.shape}; choose another"
        )
    return data, image.affine


def _load(path: Path, image: nib.Nifti1Image) -> np.ndarray:
    try:
        return np.asarray(image.dataobj, dtype=np.float32)
    except Exception as error:  # gzip, zlib, nibabel and the system raise their own
        raise _unreadable(path, error) from error


def _open_any(path: Path) -> nib.Nifti1Image:
    refuse_missing(path)
    try:
        image = nib.load(path)
    except Exception as error:
        raise _unreadable(path, error) from error
    if not isinstance(image, nib.Nifti1Pair):
        raise _unreadable(path, f"it is a {type(image).__name__}")
    return image


def _open(path: Path) -> nib.Nifti1Image:
    image = _open_any(path)
    shape = image.shape
    if len(shape) != 4 or shape[3] < 2:
        found = f"{len(shape)}-D" if len(shape) != 4 else "1 volume"
        raise InputDataError(f"{path}: expected a series of volumes (4-D), found {found}; leave it out or complete it")
    if path.suffix == ".nii":
        # A compressed file tells its length only when it is read.
        size = path.stat().st_size
        expected = int(image.dataobj.offset) + int(np.prod(shape)) * image.get_data_dtype().itemsize
        if size < expected:
            raise _unreadable(path, f"{size} of {expected} bytes are there")
    return image


def _unreadable(path: Path, reason: object) -> InputDataError:
    line = next(iter(str(reason).strip().splitlines()), type(reason).__name__)
    return InputDataError(f"{path}: expected a whole NIfTI file, found it unreadable ({line}); copy it anew")


def _describe(
    path: Path, image: nib.Nifti1Image, metadata: Mapping[str, Any], told_by: str = "the sidecar"
) -> BoldHeader:
    axis = {"i": 0, "j": 1}.get(str(metadata.get("SliceEncodingDirection", "k"))[:1], 2)
    n_slices = int(image.shape[axis])
    return BoldHeader(
        int(image.shape[3]),
        _repetition_time(path, image, metadata, told_by),
        n_slices,
        _discarded(metadata),
        _slice_groups(n_slices, metadata),
    )


def _space_code(image: nib.Nifti1Image) -> int:
    """NIfTI's code of the space that the affine leads to; 2 (aligned to something) where the header is silent."""
    return int(image.header["sform_code"]) or int(image.header["qform_code"]) or 2


def _repetition_time(path: Path, image: nib.Nifti1Image, metadata: Mapping[str, Any], told_by: str) -> float:
    zoom = float(image.header.get_zooms()[3])
    unit = image.header.get_xyzt_units()[1]
    in_header = zoom * {"msec": 1e-3, "usec": 1e-6}.get(unit, 1.0)
    # Converters that leave the unit out, or at s, while they write ms.
    in_header = in_header / 1000 if in_header >= 100 else in_header
    stated = metadata.get("RepetitionTime")
    if stated is None:
        if in_header <= 0:
            raise InputDataError(
                f"{path}: expected RepetitionTime in its sidecar or header, found neither; add it in s"
            )
        return in_header
    if isinstance(stated, bool) or not isinstance(stated, (int, float)) or not 0 < stated < 100:
        raise InputDataError(f"{path}: expected RepetitionTime in s in its sidecar, found {stated!r}; correct it")
    # Converters that do not know it leave 0 or 1 in the header; that is no claim.
    if in_header not in (0.0, 1.0) and abs(in_header / stated - 1) > 0.01:
        raise InputDataError(
            f"{path}: expected one repetition time, found {stated:g} s in {told_by} and {in_header:g} s in the header; "
            "correct the wrong one"
        )
    return float(stated)


def _discarded(metadata: Mapping[str, Any]) -> int | None:
    keys = ("NumberOfVolumesDiscardedByScanner", "NumberOfVolumesDiscardedByUser")
    told = [_number(metadata.get(key)) for key in keys]
    known = [int(value) for value in told if value is not None and value >= 0]
    return sum(known) if known else None


def _slice_groups(n_slices: int, metadata: Mapping[str, Any]) -> int | None:
    if str(metadata.get("MRAcquisitionType", "")).upper() == "3D":
        return None
    timing = metadata.get("SliceTiming")
    if isinstance(timing, list) and len(timing) > 1 and all(_number(value) is not None for value in timing):
        times = np.sort(np.array(timing, float))
        if times[-1] > times[0]:
            return 1 + int((np.diff(times) > SAME_EXCITATION_S).sum())
    factor = _number(metadata.get("MultibandAccelerationFactor"))
    return int(np.ceil(n_slices / factor)) if factor is not None and factor >= 1 else n_slices


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not np.isfinite(value):
        return None
    return float(value)

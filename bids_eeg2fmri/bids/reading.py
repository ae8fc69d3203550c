"""Read a recording: mne Raw and its markers, NIfTI. The only place that reads source data."""

import warnings
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mne
import nibabel as nib
import numpy as np

from bids_eeg2fmri.bids.recordings import Recording
from bids_eeg2fmri.errors import InputDataError, MissingFilesError


@dataclass(frozen=True)
class Eeg:
    """EEG of a recording, not loaded yet.

    Attributes
    ----------
    raw : mne.io.BaseRaw
        Types, bad channels and positions as channels.tsv and electrodes.tsv have them.
    markers : dict
        (file, code) to onsets in s from the start of the file.
    """

    raw: mne.io.BaseRaw
    markers: dict[tuple[str, str], np.ndarray]

    @property
    def channels(self) -> list[str]:
        """EEG channels that are not marked as bad."""
        picks = mne.pick_types(self.raw.info, eeg=True, exclude="bads")
        return [self.raw.ch_names[pick] for pick in picks]

    @property
    def duration_s(self) -> float:
        return self.raw.n_times / self.raw.info["sfreq"]


@dataclass(frozen=True)
class Bold:
    """BOLD of a recording: data (x, y, z, volumes), float32."""

    data: np.ndarray
    affine: np.ndarray
    space_code: int
    tr_s: float
    n_discarded: int


def read_eeg(recording: Recording) -> Eeg:
    """Open the EEG and collect the markers of its header and of events.tsv: either may be the complete one.

    Raises
    ------
    MissingFilesError
        If the data file that a header names does not exist.
    InputDataError
        If the file is shorter than its header or sidecar says, or can't be read.
    """
    import mne_bids

    path = recording.eeg
    assert path is not None
    _refuse_missing(path)
    if path.suffix == ".vhdr":
        _check_brainvision(path)
    bids_path = mne_bids.get_bids_path_from_fname(path)
    with _quiet():
        try:
            plain = mne.io.read_raw(path, preload=False)
            raw = mne_bids.read_raw_bids(bids_path)
        except FileNotFoundError as error:
            raise MissingFilesError(
                f"{path}: a file that belongs to it is missing ({error}); complete the dataset"
            ) from error
        except Exception as error:  # the readers of many formats raise all kinds
            raise InputDataError(
                f"{path}: MNE cannot read it ({_first_line(error)}); open it with mne to see more"
            ) from error

    duration = raw.n_times / raw.info["sfreq"]
    stated = recording.eeg_metadata.get("RecordingDuration")
    if isinstance(stated, (int, float)) and duration < stated - 1:
        raise InputDataError(
            f"{path}: expected {stated:g} s as RecordingDuration in its sidecar says, found {duration:.1f} s; the file is "
            "cut short, copy it anew"
        )
    if not len(mne.pick_types(raw.info, eeg=True, exclude=())):
        raise InputDataError(f"{path}: expected EEG channels, found none; check the types in channels.tsv")

    markers: dict[tuple[str, str], np.ndarray] = {}
    header = path.with_suffix(".vmrk").name if path.suffix == ".vhdr" else path.name
    sources = [(header, plain.annotations)]
    if path.with_name(f"{path.name.rpartition('_')[0]}_events.tsv").is_file():
        sources.append(("events.tsv", raw.annotations))
    for source, annotations in sources:
        codes = np.array([str(d) for d in annotations.description])
        onsets = annotations.onset - (raw.first_time if annotations.orig_time is not None else 0)
        for code in np.unique(codes):
            if not code.startswith(("BAD", "EDGE", "New Segment")):
                markers[source, str(code)] = np.sort(onsets[codes == code])
    return Eeg(raw, markers)


def read_bold(recording: Recording) -> Bold:
    """Load the BOLD series.

    Raises
    ------
    InputDataError
        If the file is truncated or not a series, its voxels are all NaN, or sidecar and header disagree on the
        repetition time.
    """
    path = recording.bold
    assert path is not None
    _refuse_missing(path)
    try:
        image = nib.load(path)
        shape = image.shape
        data = np.asarray(image.dataobj, dtype=np.float32)
    except Exception as error:  # gzip, zlib, nibabel and the system raise their own
        raise InputDataError(
            f"{path}: expected a whole NIfTI file, found it unreadable ({_first_line(error)}); copy it anew"
        ) from error
    if len(shape) != 4 or shape[3] < 2:
        found = f"{len(shape)}-D" if len(shape) != 4 else "1 volume"
        raise InputDataError(f"{path}: expected a series of volumes (4-D), found {found}; leave it out or complete it")
    if not np.isfinite(data).any() or float(np.nanmax(data)) <= float(np.nanmin(data)):
        raise InputDataError(f"{path}: expected an image, found nothing but NaN or one constant; copy it anew")
    return Bold(
        data,
        image.affine,
        _space_code(image),
        _repetition_time(path, image, recording.bold_metadata),
        _discarded(recording.bold_metadata),
    )


def channel_positions(raw: mne.io.BaseRaw, channels: list[str]) -> list[list[float] | None]:
    """List x, y, z in m in the head frame (RAS), None where unknown."""
    montage = raw.get_montage()
    known = montage.get_positions()["ch_pos"] if montage is not None else {}
    positions: list[list[float] | None] = []
    for name in channels:
        xyz = known.get(name)
        positions.append(np.round(xyz, 5).tolist() if xyz is not None and np.isfinite(xyz).all() else None)
    return positions


def _space_code(image: nib.Nifti1Image) -> int:
    """NIfTI's code of the space that the affine leads to; 2 (aligned to something) where the header is silent."""
    return int(image.header["sform_code"]) or int(image.header["qform_code"]) or 2


def _repetition_time(path: Path, image: nib.Nifti1Image, metadata: Mapping[str, Any]) -> float:
    zoom = float(image.header.get_zooms()[3])
    unit = image.header.get_xyzt_units()[1]
    in_header = zoom * {"msec": 1e-3, "usec": 1e-6}.get(unit, 1.0)
    stated = metadata.get("RepetitionTime")
    if stated is None:
        if in_header <= 0:
            raise InputDataError(
                f"{path}: expected RepetitionTime in its sidecar or header, found neither; add it in s"
            )
        return in_header
    if not isinstance(stated, (int, float)) or not 0 < stated < 100:
        raise InputDataError(f"{path}: expected RepetitionTime in s in its sidecar, found {stated!r}; correct it")
    # Converters that do not know it leave 0 or 1 in the header; that is no claim.
    if in_header not in (0.0, 1.0) and abs(in_header / stated - 1) > 0.01:
        raise InputDataError(
            f"{path}: expected one repetition time, found {stated:g} s in the sidecar and {in_header:g} s in the header; "
            "correct the wrong one"
        )
    return float(stated)


def _discarded(metadata: Mapping[str, Any]) -> int:
    total = 0
    for key in ("NumberOfVolumesDiscardedByScanner", "NumberOfVolumesDiscardedByUser"):
        value = metadata.get(key, 0)
        total += int(value) if isinstance(value, (int, float)) else 0
    return total


def _refuse_missing(path: Path) -> None:
    if not path.exists():
        remedy = "run datalad get" if path.is_symlink() else "complete the dataset"
        raise MissingFilesError(
            f"{path}: expected a file, found {'a broken link' if path.is_symlink() else 'none'}; {remedy}"
        )


def _check_brainvision(path: Path) -> None:
    """Look for the data file and its length; mne reads a file that was cut short without a word."""
    header: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith(";"):
            header.setdefault(key.strip(), value.strip())
    name = header.get("DataFile", "").replace("$b", path.stem)
    data = path.with_name(name)
    if not name or not data.exists():
        remedy = "run datalad get" if data.is_symlink() else "complete the dataset, or correct DataFile in the header"
        raise MissingFilesError(
            f"{path}: expected its data file {name or '(none named)'} beside it, found none; {remedy}"
        )
    markers = header.get("MarkerFile", "").replace("$b", path.stem)
    if markers and not path.with_name(markers).exists():
        raise MissingFilesError(
            f"{path}: expected its marker file {markers} beside it, found none; complete the dataset, or correct MarkerFile "
            "in the header"
        )
    width = {"INT_16": 2, "UINT_16": 2, "IEEE_FLOAT_32": 4, "INT_32": 4}.get(header.get("BinaryFormat", "").upper())
    n_channels = int(header["NumberOfChannels"]) if header.get("NumberOfChannels", "").isdigit() else 0
    if header.get("DataFormat", "BINARY").upper() != "BINARY" or not width or not n_channels:
        return  # for mne to judge
    size = data.stat().st_size
    points = header.get("DataPoints", "")
    expected = int(points) * width * n_channels if points.isdigit() and int(points) else None
    if size == 0 or size % (width * n_channels) or (expected is not None and size < expected):
        should = (
            f"{expected} bytes" if expected else f"a multiple of {width * n_channels} bytes ({n_channels} channels)"
        )
        raise InputDataError(
            f"{data}: expected {should} by its header, found {size}; the file is cut short, copy it anew"
        )


@contextmanager
def _quiet():
    """Say nothing of what readers remark on files that they can read."""
    with warnings.catch_warnings(), mne.utils.use_log_level("ERROR"):
        warnings.simplefilter("ignore")
        yield


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0]

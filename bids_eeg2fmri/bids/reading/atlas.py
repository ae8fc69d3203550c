"""Read a user's atlas: an image of labels, and their names."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bids_eeg2fmri.bids.reading.bold import read_volume
from bids_eeg2fmri.bids.reading.tables import find_column, read_table
from bids_eeg2fmri.errors import InputDataError


@dataclass(frozen=True)
class Atlas:
    """Labels of regions.

    Attributes
    ----------
    labels : array of int, shape (x, y, z)
        0 where there is no region.
    affine : array of shape (4, 4)
    names : mapping
        Label to name, for those that have one.
    """

    labels: np.ndarray
    affine: np.ndarray
    names: Mapping[int, str]


def read_atlas(path: Path) -> Atlas:
    """Read a NIfTI image of labels and, beside it, a table of the same name with the columns index and name (BIDS' dseg.tsv).

    Raises
    ------
    MissingFilesError
        If there is no such image.
    InputDataError
        If it is not one volume of whole numbers, or the table is none.
    """
    data, affine = read_volume(path, "an atlas")
    data = np.nan_to_num(data)
    labels = np.rint(data).astype(np.int64)
    if not np.allclose(data, labels, atol=1e-3) or labels.min() < 0 or not labels.any():
        raise InputDataError(
            f"{path}: expected whole numbers from 0 on as labels of regions, found others; choose another atlas"
        )
    table = path.with_name(path.name.partition(".nii")[0] + ".tsv")
    return Atlas(labels, affine, _read_names(table) if table.exists() else {})


def _read_names(path: Path) -> dict[int, str]:
    table = read_table(path)
    index, name = find_column(table, "index"), find_column(table, "name")
    if index is None or name is None:
        raise InputDataError(
            f"{path}: expected the columns index and name, found {', '.join(table.columns)}; rename them"
        )
    try:
        return {int(float(label)): str(text) for label, text in zip(index, name, strict=True)}
    except ValueError as error:
        raise InputDataError(f"{path}: expected whole numbers in the column index: {error}") from error

"""Positions of electrodes where MNE-BIDS gives up on a file next to theirs."""

from pathlib import Path

import numpy as np
import pandas as pd

from bids_eeg2fmri.bids.reading.files import warn_once
from bids_eeg2fmri.bids.reading.sidecars import find_inherited, read_sidecar, split_name
from bids_eeg2fmri.bids.reading.tables import find_column, read_table
from bids_eeg2fmri.errors import Eeg2FmriError

# Axes of the coordinate systems of EEG-BIDS that are tied to landmarks of the head; others need an image to interpret.
RIGHT_ANTERIOR = {"captrak", "elektaneuromag", "chietiitab"}
ANTERIOR_LEFT = {"eeglab", "eeglab-hj", "ctf", "4dbti", "kityokogawa"}
UNITS_M = {"m": 1.0, "cm": 0.01, "mm": 0.001}


def read_positions(dataset: Path, file: Path) -> dict[str, np.ndarray]:
    """Give x, y, z of electrodes in m, to the right, front and top; empty where the files can't be interpreted.

    Parameters
    ----------
    dataset : Path
    file : Path
        EEG file.
    """
    for path in reversed(find_inherited(dataset, file, suffix="electrodes", extension=".tsv", besides=("space",))):
        system = read_sidecar(dataset, path.with_name(path.name.replace("_electrodes.tsv", "_coordsystem.json")))
        name = str(system.get("EEGCoordinateSystem", split_name(path.name)[0].get("space", ""))).lower()
        if name not in RIGHT_ANTERIOR | ANTERIOR_LEFT:
            continue
        try:
            table = read_table(path)
        except Eeg2FmriError as error:
            warn_once(f"{error}; left out")
            continue
        names, *axes = (find_column(table, axis) for axis in ("name", "x", "y", "z"))
        coordinates = [pd.to_numeric(axis, errors="coerce").astype(float) for axis in axes if axis is not None]
        if names is None or len(coordinates) < 3:
            warn_once(f"{path}: expected the columns name, x, y and z, found others; left out")
            continue
        xyz = np.column_stack(coordinates)
        known = np.isfinite(xyz).all(1)
        xyz = xyz[known] * _unit_m(system.get("EEGCoordinateUnits"), xyz[known])
        if name in ANTERIOR_LEFT:
            xyz = np.column_stack([-xyz[:, 1], xyz[:, 0], xyz[:, 2]])
        return dict(zip(names[known], xyz, strict=True))
    return {}


def _unit_m(stated: object, xyz: np.ndarray) -> float:
    if stated in UNITS_M:
        return UNITS_M[str(stated)]
    # A head has a radius of a tenth of a metre.
    radius = float(np.median(np.linalg.norm(xyz, axis=1))) if len(xyz) else 1.0
    return 1.0 if radius < 1 else 0.01 if radius < 30 else 0.001

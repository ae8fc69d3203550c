"""Write what fMRIPrep would make of a simulated series: names, sidecars and tables as its outputs have them."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd

TEMPLATE = "MNI152NLin2009cAsym"
_SIX = ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")


def write_description(root: Path) -> None:
    """Make the derivative dataset."""
    root.mkdir(parents=True, exist_ok=True)
    _write_json(
        root / "dataset_description.json",
        {
            "Name": "fMRIPrep - fMRI PREProcessing workflow (simulated)",
            "BIDSVersion": "1.10.0",
            "DatasetType": "derivative",
            "License": "CC0",
            "GeneratedBy": [
                {"Name": "fMRIPrep", "Version": "25.2.0", "Description": "simulated, nothing was preprocessed"}
            ],
        },
    )


def write_series(
    folder: Path,
    stem: str,
    image: Callable[[np.ndarray, float | None], nib.Nifti1Image],
    series: Sequence[tuple[str | None, np.ndarray, np.ndarray]],
    *,
    motion: np.ndarray,
    tissue: dict[str, np.ndarray],
    tr_s: float,
    n_unsteady: int,
    task: str,
) -> None:
    """Write a series in each space with its mask, and the table of confounds.

    Parameters
    ----------
    folder : Path
        ``func`` of the participant in the derivative dataset.
    image : callable
        Makes an image of an array; of a series with its repetition time in s.
    series : sequence of (space, array of shape (x, y, z, volumes), mask of shape (x, y, z))
        None is the space of the series itself.
    motion : array of shape (volumes, 6)
        In mm and rad.
    tissue : dict
        ``csf``, ``white_matter`` and ``global_signal``: courses of shape (volumes,).
    """
    folder.mkdir(parents=True, exist_ok=True)
    for space, data, mask in series:
        name = f"{stem}_space-{space}" if space else stem
        stored = image(np.clip(np.rint(data), 0, 32767).astype(np.int16), tr_s)
        within = image(mask.astype(np.uint8), None)
        if space:
            for one in (stored, within):
                one.set_sform(one.affine, code=4)
                one.set_qform(one.affine, code=4)
        stored.to_filename(folder / f"{name}_desc-preproc_bold.nii.gz")
        within.to_filename(folder / f"{name}_desc-brain_mask.nii.gz")
        about = {"RepetitionTime": tr_s, "SkullStripped": False, "SliceTimingCorrected": False, "TaskName": task}
        _write_json(folder / f"{name}_desc-preproc_bold.json", about)
        _write_json(folder / f"{name}_desc-brain_mask.json", {"Type": "Brain"})
    table = _confounds(motion, tissue, tr_s=tr_s, n_unsteady=n_unsteady)
    table.to_csv(folder / f"{stem}_desc-confounds_timeseries.tsv", sep="\t", index=False, na_rep="n/a")
    _write_json(folder / f"{stem}_desc-confounds_timeseries.json", {})


def _confounds(motion: np.ndarray, tissue: dict[str, np.ndarray], *, tr_s: float, n_unsteady: int) -> pd.DataFrame:
    n_volumes = len(motion)
    base = {**tissue, **dict(zip(_SIX, motion.T, strict=True))}
    columns: dict[str, np.ndarray] = {}
    for name, values in base.items():
        derivative = np.r_[np.nan, np.diff(values)]
        columns |= {
            name: values,
            f"{name}_derivative1": derivative,
            f"{name}_power2": values**2,
            f"{name}_derivative1_power2": derivative**2,
        }
    change = np.abs(np.diff(motion, axis=0))
    columns["framewise_displacement"] = np.r_[np.nan, change[:, :3].sum(1) + 50 * change[:, 3:].sum(1)]
    columns["std_dvars"] = np.r_[np.nan, np.ones(n_volumes - 1)]
    for number in range(int(2 * n_volumes * tr_s / 128)):
        columns[f"cosine{number:02d}"] = np.cos(np.pi * (number + 1) * (np.arange(n_volumes) + 0.5) / n_volumes)
    for number in range(n_unsteady):
        columns[f"non_steady_state_outlier{number:02d}"] = (np.arange(n_volumes) == number).astype(int)
    return pd.DataFrame(columns)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n")

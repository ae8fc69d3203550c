"""One map of all participants, of those whose voxels are the same places."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import nibabel as nib
import numpy as np

from bids_eeg2fmri.bids.derivatives import Derivatives
from bids_eeg2fmri.bold.grid import Grid


@dataclass(frozen=True)
class MeanMap:
    """The mean map of r.

    Attributes
    ----------
    r : Nifti1Image
        0 where fewer than half of the participants have a voxel.
    count : Nifti1Image
        Participants who have it.
    participants : tuple of str
    left_out : list of dict
        ``name`` and ``reason`` of recordings that are on another grid.
    """

    r: nib.Nifti1Image
    count: nib.Nifti1Image
    participants: tuple[str, ...]
    left_out: list[dict[str, str]]


def average_maps(derivatives: Derivatives, summaries: Sequence[Mapping[str, Any]]) -> MeanMap | None:
    """Average the maps of r over the runs of each participant, then over participants, as Fisher's z.

    Parameters
    ----------
    derivatives : Derivatives
    summaries : sequence of mapping
        Of the participants who are judged together.

    Returns
    -------
    MeanMap or None
        Of the grid that most participants are on; None if nobody has a map.
    """
    runs = [
        (summary["participant_id"], entry)
        for summary in summaries
        for entry in summary["recordings"]
        if {"r_map", "mask"} <= entry["files"].keys()
        and all((derivatives.root / entry["files"][kind]).is_file() for kind in ("r_map", "mask"))
    ]
    if not runs:
        return None
    # A mask is small; the maps are read one by one when it is known which are needed.
    grids = [_grid(derivatives.read_image(entry["files"]["mask"])) for _, entry in runs]
    everyone = [{who for (who, _), other in zip(runs, grids, strict=True) if grid.same_as(other)} for grid in grids]
    grid = grids[int(np.argmax([len(of_grid) for of_grid in everyone]))]
    z: dict[str, np.ndarray] = {}
    n_runs: dict[str, np.ndarray] = {}
    left_out = []
    for (who, entry), own in zip(runs, grids, strict=True):
        if not own.same_as(grid):
            reason = "its voxel grid or position differs from that of most participants"
            left_out.append({"name": entry["name"], "reason": reason})
            continue
        r = np.asarray(derivatives.read_image(entry["files"]["r_map"]).dataobj, dtype=np.float64)
        z[who] = z.get(who, 0) + np.where(own.mask, np.arctanh(np.clip(r, -0.999, 0.999)), 0)
        n_runs[who] = n_runs.get(who, 0) + own.mask
    count = sum((runs > 0).astype(np.int16) for runs in n_runs.values())
    total = sum(z[who] / np.maximum(n_runs[who], 1) for who in z)
    inside = count >= max(1, len(z) / 2)
    mean_r = np.where(inside, np.tanh(total / np.maximum(count, 1)), 0)
    return MeanMap(grid.image_of(mean_r.astype(np.float32)), grid.image_of(np.asarray(count)), tuple(z), left_out)


def _grid(mask: nib.Nifti1Image) -> Grid:
    return Grid(np.asarray(mask.dataobj) > 0, mask.affine, int(mask.header["sform_code"]))
